import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import { createMetrics } from '../../lib/metrics.ts'
import { freePort } from './free-port.ts'
import { folder, installed, start, stopAll } from './servers/process.ts'
import { type Firing, firings } from './week/alerts.ts'
import { EXPECTED, type Expected } from './week/expected.ts'
import { ENDS, FAULTS, MINUTE, MONDAY, type Week } from './week/scenario.ts'

/**
 * A week of a real daemon in which all goes well, and one of nine faults: what it says at `/metrics`, every minute, is what a real Prometheus is seen every alert of. Real are the APIs on
 * loopback, the ledger, the table, and death by SIGKILL; the clock is not. In the first week nothing may fire. In the second every fault has to be told of, in time, under the name of its pipeline, until it
 * is over; and whatever fires has to be told of a fault. How an alert gets from a rule to its receiver, `prometheus.ts` proves. Run it with: node test/prove/week.ts
 */

const RULES = fileURLToPath(new URL('../../grafana/alerts/headrace.rules.yml', import.meta.url))
const LIFE = fileURLToPath(new URL('week/life.ts', import.meta.url))
const prometheus = installed('prometheus')
const promtool = installed('promtool')
if (prometheus === undefined || promtool === undefined) process.exit()
const run = promisify(execFile)

/** The metrics that the rules name; Prometheus is spared the others. */
function namesOfRules(): string[] {
  const registry = new Registry()
  createMetrics(registry)
  const rules = readFileSync(RULES, 'utf8')
  return registry
    .getMetricsAsArray()
    .map(({ name }) => name)
    .filter(name => new RegExp(`\\b${name}\\b`).test(rules))
}

const env = { ...process.env, HEADRACE_GRANT_KEY: randomBytes(32).toString('base64') }

/** Lives a life of the daemon in a process of its own; returns how that ended. */
async function live(life: string, within: string): Promise<number | NodeJS.Signals> {
  const child = spawn(process.execPath, [LIFE, life, within, ...namesOfRules()], { stdio: 'inherit', env })
  const [code, signal]: (number | NodeJS.Signals | null)[] = await once(child, 'exit')
  return signal ?? code ?? -1
}

/** What Prometheus stores of targets that do not answer. */
async function scrapeTheDead(week: string): Promise<void> {
  const day = new Date(FAULTS.killed.from).toISOString().slice(0, 10)
  const path = join(week, `${day}.om`)
  const stored = new Set(
    readFileSync(path, 'utf8')
      .match(/^up.*$/gm)
      ?.map(line => Number(line.split(' ').at(-1)) * 1_000),
  )
  const dead: string[] = []
  for (let at = FAULTS.killed.from; at < FAULTS.killed.to; at += MINUTE) {
    if (!stored.has(at)) dead.push(`up{job="headrace",instance="127.0.0.1:9464"} 0 ${at / 1_000}\n`)
  }
  await appendFile(join(week, 'dead.om'), dead.join(''))
}

/** A Prometheus on the blocks of a week. A series that is gone from a scrape is gone at once, as it would be. */
async function serve(program: string, blocks: string): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const config = join(blocks, '..', 'prometheus.yml')
  writeFileSync(config, `global: { evaluation_interval: 1h }\nrule_files: [${JSON.stringify(RULES)}]\n`)
  const url = `http://127.0.0.1:${await freePort()}`
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${blocks}`,
    '--storage.tsdb.retention.time=100y',
    '--query.lookback-delta=59s',
    `--web.listen-address=${new URL(url).host}`,
    '--log.level=error',
  ]
  const child: ChildProcess = await start(program, args, `${url}/-/ready`)
  return {
    url,
    stop: async () => {
      const over = once(child, 'exit')
      child.kill('SIGKILL')
      await over
    },
  }
}

/** Has Prometheus judge what was scraped in a week. */
async function judge(program: string, tool: string, week: Week): Promise<Firing[]> {
  const within = join(folder, week)
  const blocks = join(within, 'blocks')
  mkdirSync(blocks)
  const create = ['tsdb', 'create-blocks-from', '--max-block-duration=24h']
  for (const file of globSync('*.om', { cwd: within }).toSorted()) {
    await appendFile(join(within, file), '# EOF\n')
    await run(tool, [...create, 'openmetrics', join(within, file), blocks])
  }
  const [from, to] = [MONDAY, ENDS[week] - MINUTE]
  const recording = await serve(program, blocks)
  const span = [`--start=${from / 1_000}`, `--end=${to / 1_000}`]
  await run(tool, [...create, 'rules', `--url=${recording.url}`, ...span, `--output-dir=${blocks}`, RULES])
  await recording.stop()
  // It looks for new blocks when it starts.
  const { url, stop } = await serve(program, blocks)
  const found = await firings(url, from, to)
  await stop()
  return found
}

const minutes = (ms: number): string => {
  const all = Math.round(ms / MINUTE)
  return all < 120 ? `${all} min` : `${Math.floor(all / 60)} h ${all % 60} min`
}

const moment = (at: number): string =>
  `${['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun', 'Mon'][Math.floor((at - MONDAY) / (24 * 60 * MINUTE))]} ${new Date(at).toISOString().slice(11, 16)}`

function text({ alert, labels, fired, resolved }: Firing): string {
  const { job: _, instance: __, severity, ...names } = labels
  return `${moment(fired)}..${resolved === null ? '' : moment(resolved)} ${alert} (${severity}) ${Object.values(names).join(' ')}`
}

/** Whether an alert is what is expected of a fault: by its name and labels, and while the fault or what it leaves is there. */
function isOf({ fault, alert, labels, over }: Expected, firing: Firing): boolean {
  const { from, to } = FAULTS[fault]
  const named = Object.entries(labels).every(([name, value]) => firing.labels[name] === value)
  return alert === firing.alert && named && firing.fired >= from && firing.fired <= to + over * MINUTE
}

/** What the daemon has to say of every fault, and when. */
function check(found: readonly Firing[]): string[] {
  const problems: string[] = []
  const table: string[] = []
  for (const expected of EXPECTED) {
    const { fault, seen, alert, within, over, labels } = expected
    const { to } = FAULTS[fault]
    const of = found.filter(firing => isOf(expected, firing))
    const [first] = of
    const last = Math.max(...of.map(({ resolved }) => resolved ?? Number.POSITIVE_INFINITY))
    const name = `${fault}: ${alert} ${Object.values(labels).join(' ')}`
    if (first === undefined) {
      if (within !== undefined) problems.push(`${name} did not fire`)
      continue
    }
    if (last > to + over * MINUTE) problems.push(`${name} was resolved ${Number.isFinite(last) ? minutes(last - to) : 'never'}`)
    if (within === undefined) continue
    if (first.fired > seen + within * MINUTE) problems.push(`${name} fired after ${minutes(first.fired - seen)}`)
    const resolved = last <= to ? 'before' : minutes(last - to)
    table.push(
      `| ${fault} | ${moment(seen)} | \`${alert}\` | ${Object.values(labels).join(' ')} | ${minutes(first.fired - seen)} | ${resolved} |`,
    )
  }
  for (const firing of found)
    if (!EXPECTED.some(expected => isOf(expected, firing))) problems.push(`nothing explains ${text(firing)}`)
  console.log('| fault | seen first | alert | names | fired after | resolved after its end |\n|---|---|---|---|---|---|')
  console.log(table.join('\n'))
  return problems
}

const isNews = ({ alert }: Firing): boolean => alert !== 'HeadraceWatchdog'

try {
  const began = performance.now()
  const within = (week: string): string => join(folder, week)
  mkdirSync(within('past'))
  assert.equal(await live('past', within('past')), 0)
  for (const week of ['healthy', 'faulty']) cpSync(within('past'), within(week), { recursive: true })
  const [healthy, faulty] = await Promise.all([
    live('healthy', within('healthy')),
    live('faulty', within('faulty')).then(async end => [end, await live('revived', within('faulty'))]),
  ])
  assert.deepEqual({ healthy, faulty }, { healthy: 0, faulty: ['SIGKILL', 0] }, 'how the lives ended')
  await scrapeTheDead(within('faulty'))
  const lived = performance.now()
  const [quiet, found] = await Promise.all([judge(prometheus, promtool, 'healthy'), judge(prometheus, promtool, 'faulty')])
  for (const all of [quiet, found])
    assert.deepEqual(
      all.filter(one => !isNews(one)).map(({ fired, resolved }) => [fired, resolved]),
      [[MONDAY, null]],
      'the watchdog fires always',
    )
  assert.deepEqual(quiet.filter(isNews).map(text), [], 'nothing fires in a week in which all goes well')
  const news = found.filter(isNews)
  const problems = check(news)
  if (problems.length > 0) console.log(news.map(text).join('\n'))
  assert.deepEqual(problems, [], 'every fault is told of, and nothing else')
  console.log(
    `two weeks were lived in ${((lived - began) / 1_000).toFixed(0)} s, and judged in ${((performance.now() - lived) / 1_000).toFixed(0)} s`,
  )
} finally {
  stopAll()
}
