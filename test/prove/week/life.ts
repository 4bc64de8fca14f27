import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { Registry } from 'prom-client'
import { addDays } from '../../../lib/chunk.ts'
import type { Pipeline } from '../../../lib/index.ts'
import { GRANT_KEY, Seal } from '../../../lib/oauth/seal.ts'
import { imported } from '../../../lib/oauth/tokens.ts'
import { revive } from '../../../lib/standing/operate.ts'
import { adsPipeline } from '../../support/ads.ts'
import { Calendar } from '../../support/calendar.ts'
import { type Daemon, startDaemon } from '../../support/daemon.ts'
import { openLedger, run } from '../../support/run.ts'
import { connectorTo, serveApis, tokenOf } from './api.ts'
import { CLIENTS, duringOf, ENDS, FAULTS, HOUR, MINUTE, MONDAY, PIPELINES, START, VICTIMS } from './scenario.ts'

/**
 * One life of the daemon, in a process of its own so that it can be killed. `past` reads four weeks and lives one, which nobody records; `healthy` lives a week;
 * `faulty` is killed in the middle of a commit, and `revived` goes on. Arguments: which one, the folder, and the names of the metrics that are recorded.
 */

const [life = '', folder = '', ...names] = process.argv.slice(2)
/** How often the daemon looks what is wrong with the data: half as often as by default, which is what most of the time here goes into. */
const WATCH_SECONDS = 600
let calendar = new Calendar(START, HOUR)
const during = duringOf(life === 'faulty' || life === 'revived' ? 'faulty' : 'healthy')
const server = await serveApis(() => calendar.now(), during)
const pipelines = PIPELINES.map(name =>
  adsPipeline(
    connectorTo(name, server.url, () => calendar),
    {
      name,
      days: 28,
      schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }],
      freshness: { hours: 12 },
    },
  ),
)

/** What the API says of the four weeks before is history. */
async function past(): Promise<void> {
  await consent(
    CLIENTS.map(({ id }) => id),
    1,
  )
  const today = new Date(START).toISOString().slice(0, 10)
  for (const pipeline of pipelines) {
    const { exitCode } = await calendar.run(
      run({
        folder,
        pipeline,
        from: addDays(today, -28),
        to: addDays(today, -1),
        clients: CLIENTS.map(({ id }) => id),
        now: calendar.now,
        sleep: calendar.sleep,
      }),
    )
    if (exitCode !== 0) throw new Error(`the past of ${pipeline.name} was not read: exit code ${exitCode}`)
  }
}

/** Accounts consent: their tokens are in the ledger, as the command puts them there. */
async function consent(accounts: readonly string[], time: 1 | 2): Promise<void> {
  const ledger = openLedger(folder, undefined, calendar.now)
  const auth = pipelines.find(({ source }) => source.auth !== undefined)?.source.auth
  if (auth === undefined) throw new Error('no pipeline needs a consent')
  for (const account of accounts) {
    const grant = `${auth.provider}/${account}`
    await ledger.putGrant(grant, imported(new Seal(process.env[GRANT_KEY]), auth, grant, tokenOf(account, time), calendar.now()))
  }
  await ledger.close()
}

async function alterTable(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`ATTACH '${join(folder, 'warehouse.duckdb')}' AS w; ALTER TABLE w.ads.visits ${sql}`)
  connection.closeSync()
  instance.closeSync()
}

/** What a person does whom an alert has woken: has the chunks that are held read again. */
async function retry({ name }: Pipeline, { ledger }: Daemon): Promise<void> {
  for (const { chunk, runId, state } of await ledger.problems(name, undefined, 1_000)) {
    if (state !== 'parked') await revive('retry', [runId, chunk.client, chunk.window.from], 'somebody', ledger)
  }
}

/** What is done from outside in the week of faults, at its time. */
function strikes(daemon: Daemon): { at: number; strike: () => Promise<void> }[] {
  const [ads, shop, visits] = pipelines
  if (ads === undefined || shop === undefined || visits === undefined) throw new Error('there are three pipelines')
  return [
    {
      at: FAULTS.revoked.to,
      strike: async () => {
        await consent([VICTIMS.revoked], 2)
        await retry(ads, daemon)
      },
    },
    { at: FAULTS.altered.from, strike: () => alterTable('DROP COLUMN name') },
    {
      at: FAULTS.altered.to,
      strike: async () => {
        await alterTable('ADD COLUMN name VARCHAR')
        await retry(visits, daemon)
      },
    },
    { at: FAULTS.rejects.to, strike: () => retry(shop, daemon) },
  ]
}

/** Appends what `/metrics` says to a file for each day, as a scrape of that minute stores it. */
async function scrape(registry: Registry, at: number): Promise<void> {
  const texts = await Promise.all(names.map(name => registry.getSingleMetricAsString(name)))
  const lines = texts.flatMap(text => text.split('\n')).filter(line => line !== '' && !line.startsWith('#'))
  const scraped = ['up 1', ...lines].map(line => `${labelled(line)} ${at / 1_000}\n`)
  appendFileSync(join(folder, `${new Date(at).toISOString().slice(0, 10)}.om`), scraped.join(''))
}

/** A line with the labels that Prometheus adds when it scrapes. */
function labelled(line: string): string {
  const target = 'job="headrace",instance="127.0.0.1:9464"'
  return line.includes('{') ? line.replace('{', `{${target},`) : line.replace(' ', `{${target}} `)
}

/** Lives until an instant; recorded, if a minute is a minute. */
async function live(from: number, until: number, stepMs: number): Promise<void> {
  calendar = new Calendar(from, stepMs, stepMs === MINUTE ? 0 : 3)
  const endings: (() => unknown)[] = []
  const daemon = startDaemon(
    { teardown: (ending: () => unknown) => void endings.push(ending) },
    {
      folder,
      clients: CLIENTS,
      pipelines,
      calendar,
      settings: {
        watchSeconds: stepMs === MINUTE ? WATCH_SECONDS : 86_400,
        // Nobody waits within a chunk until midnight, when time stands still.
        longestWaitSeconds: 30,
        // Leases are renewed by the clock of this machine, and end by the calendar.
        leaseSeconds: 3_600,
      },
      fault: point => {
        if (life === 'faulty' && point === 'committing' && during('killed', calendar.now())) process.kill(process.pid, 'SIGKILL')
      },
    },
  )
  const due =
    life === 'faulty' || life === 'revived'
      ? strikes(daemon)
          .filter(({ at }) => at >= from)
          .sort((a, b) => a.at - b.at)
      : []
  let next = from
  await calendar.run(daemon.ended, async now => {
    while (due[0] !== undefined && due[0].at <= now) await due.shift()?.strike()
    for (; stepMs === MINUTE && next <= now; next += MINUTE) await scrape(daemon.registry, next)
    if (now >= until) daemon.stop()
  })
  for (const ending of endings) await ending()
}

if (life === 'past') {
  await past()
  await live(START, MONDAY, HOUR)
} else if (life === 'revived') {
  await live(FAULTS.killed.to, ENDS.faulty, MINUTE)
} else {
  await live(MONDAY, life === 'healthy' ? ENDS.healthy : ENDS.faulty, MINUTE)
}
await server.close()
