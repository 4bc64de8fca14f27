import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from './free-port.ts'
import { folder, installed, start, stopAll } from './servers/process.ts'

/**
 * Backfills that push, with a real Pushgateway and a real Prometheus: one that ends leaves nothing, one that is killed leaves its group and is told of, and the
 * same command again takes it up and clears the alert. The five minutes of the rule are five seconds here. Takes some ten seconds. Run it with:
 * node test/prove/push.ts
 */

const PATIENCE_MS = 30_000
const pushgateway = installed('prometheus-pushgateway')
const prometheus = installed('prometheus')
if (pushgateway === undefined || prometheus === undefined) process.exit()

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const [pushPort, promPort] = [await freePort(), await freePort()]
const gateway = `http://127.0.0.1:${pushPort}`

function backfill(stuckAt = ''): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
  const args = ['backfill', '--config', path('push/headrace.config.ts'), '--from', '2026-01-01', '--to', '2026-01-02']
  return spawn(process.execPath, [path('../../bin/headrace.ts'), ...args, '--push', gateway, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, FOLDER: folder, STUCK_AT: stuckAt },
  })
}

/** Runs a backfill to its end; returns its run. */
async function ended(): Promise<{ readonly run: string; readonly resumed: boolean }> {
  const child = backfill()
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  assert.equal(code, 0, said)
  return JSON.parse(said)
}

async function get(url: string): Promise<string> {
  const answer = await fetch(url)
  assert.equal(answer.status, 200, url)
  return answer.text()
}

/** The runs whose groups the Pushgateway has. */
async function groups(): Promise<string[]> {
  const metrics = await get(`${gateway}/metrics`)
  return [...metrics.matchAll(/^push_time_seconds\{.*run_id="([^"]+)"\}/gm)].map(([, run = '']) => run)
}

interface Alert {
  readonly state: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** What Prometheus says of abandoned backfills. */
async function abandoned(): Promise<Alert[]> {
  const { data }: { data: { alerts: Alert[] } } = JSON.parse(await get(`http://127.0.0.1:${promPort}/api/v1/alerts`))
  return data.alerts.filter(({ state, labels }) => state === 'firing' && labels.alertname === 'HeadraceBackfillAbandoned')
}

async function until(what: string, met: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await delay(100)) if (await met()) return
  assert.fail(`after ${PATIENCE_MS / 1_000} s: ${what}`)
}

const rules = readFileSync(path('../../grafana/alerts/headrace.rules.yml'), 'utf8')
const quick = rules
  .replace(/for: \d+[mh]/g, 'for: 1s')
  .replace('interval: 1m', 'interval: 1s')
  .replace('(push_time_seconds{job="headrace_backfill"}) > 300', '(push_time_seconds{job="headrace_backfill"}) > 5')
assert.ok(quick.includes('> 5)'), 'the rule waits for five seconds')
writeFileSync(join(folder, 'headrace.rules.yml'), quick)
writeFileSync(
  join(folder, 'prometheus.yml'),
  `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [headrace.rules.yml]
scrape_configs: [{ job_name: pushgateway, honor_labels: true, static_configs: [{ targets: ['127.0.0.1:${pushPort}'] }] }]
`,
)

let killed: ChildProcess | undefined
try {
  await start(pushgateway, [`--web.listen-address=127.0.0.1:${pushPort}`, '--log.level=error'], `${gateway}/-/ready`)
  await start(
    prometheus,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${promPort}`,
      '--log.level=error',
    ],
    `http://127.0.0.1:${promPort}/-/ready`,
  )

  killed = backfill('b')
  await until('a backfill that goes on is seen', async () => (await groups()).length === 1)
  killed.kill('SIGKILL')
  await once(killed, 'close')
  const [run = ''] = await groups()
  await until('a killed backfill is told of', async () => (await abandoned()).length === 1)
  const [alert] = await abandoned()
  assert.equal(alert?.labels.run_id, run)
  assert.match(alert?.annotations.summary ?? '', new RegExp(`^visits: the backfill ${run} died `))
  console.log(`killed: its group stays, and HeadraceBackfillAbandoned names it: ${alert?.annotations.summary}`)

  const again = await ended()
  assert.deepEqual([again.run, again.resumed], [run, true], 'the same command takes up the same run')
  assert.deepEqual(await groups(), [])
  await until('the alert is over', async () => (await abandoned()).length === 0)
  console.log('run again: the run is taken up, its group is gone, and the alert is over')

  const clean = await ended()
  assert.notEqual(clean.run, run)
  assert.deepEqual(await groups(), [])
  console.log('a backfill that ends leaves nothing')
} finally {
  killed?.kill('SIGKILL')
  stopAll()
}
