import assert from 'node:assert/strict'
import { once } from 'node:events'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { createMetrics, startAtZero } from '../../lib/metrics.ts'
import { pushing } from '../../lib/push.ts'
import { exposition } from '../../lib/server/exposition.ts'
import { freePort } from './free-port.ts'
import { folder, installed, start, stopAll } from './servers/process.ts'

/**
 * Dashboards and alerts on a real Prometheus and a real Alertmanager: every query of every panel has data, nothing fires while all is well, and every
 * fault arrives at Alertmanager under its name. The metrics are headrace's own and a script moves them, so this does not prove that a fault moves them: the tests
 * of each part do. Minutes and hours of the rules are seconds here; promtool proves their times. Prometheus scrapes OpenMetrics. Takes less than a minute. Run it with: node test/prove/prometheus.ts
 */

const GRAFANA = fileURLToPath(new URL('../../grafana', import.meta.url))
const PATIENCE_MS = 30_000
const prometheus = installed('prometheus')
const alertmanager = installed('prometheus-alertmanager')
const pushgateway = installed('prometheus-pushgateway')
if (prometheus === undefined || alertmanager === undefined || pushgateway === undefined) process.exit()

const registry = new Registry()
collectDefaultMetrics({ register: registry })
const metrics = createMetrics(registry)
const told: string[] = []
const formats = new Set<string>()
const server = createServer(async (request, response) => {
  if (request.method === 'POST') {
    let body = ''
    for await (const part of request) body += part
    const { alerts }: { alerts: { labels: Record<string, string> }[] } = JSON.parse(body)
    told.push(...alerts.map(({ labels }) => `${request.url} ${labels.alertname}`))
    return void response.end()
  }
  const { contentType, text } = await exposition(registry, request.headers.accept)
  formats.add(contentType)
  response.setHeader('content-type', contentType).end(text)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address() as AddressInfo
const [promPort, alertPort, clusterPort, pushPort] = [await freePort(), await freePort(), await freePort(), await freePort()]
const seconds = (): number => Date.now() / 1_000

/** A second of a daemon that reads two pipelines, one API each. */
function work(): void {
  for (const pipeline of ['ads', 'shop']) {
    metrics.rowsExtracted.inc({ pipeline }, 2_000)
    metrics.rowsLoaded.inc({ pipeline }, 2_000)
    metrics.apiRequests.inc({ api: `${pipeline}-api`, code_class: '2xx' }, 20)
    metrics.apiSeconds.observe({ api: `${pipeline}-api` }, 0.2)
    metrics.chunkAttempts.inc({ pipeline, outcome: 'success' }, 2)
    metrics.chunkSeconds.observe({ pipeline }, 4)
  }
  metrics.commits.inc({ pipeline: 'ads', outcome: 'published' })
  metrics.commitSeconds.observe({ warehouse: 'duckdb' }, 0.4)
  metrics.schedulerTick.set(seconds())
  for (const monitor of ['empty', 'volume', 'credentials']) metrics.monitorRun.set({ monitor }, seconds())
}

function allIsWell(): void {
  for (const pipeline of ['ads', 'shop']) {
    startAtZero(metrics, pipeline, `${pipeline}-api`)
    metrics.nextRun.set({ pipeline }, seconds() + 3_600)
    metrics.clients.set({ pipeline, state: 'fresh' }, 40)
    metrics.clients.set({ pipeline, state: 'stale' }, 0)
    metrics.completeThrough.set({ pipeline }, seconds() - 20_000)
    metrics.freshnessSlo.set({ pipeline }, 129_600)
    metrics.volumeRatio.set({ pipeline }, 1)
    metrics.backfillChunks.set({ pipeline, state: 'pending' }, 0)
    metrics.budgetUsed.set({ pipeline, period: 'month' }, 0.4)
    metrics.quotaLeft.set({ api: `${pipeline}-api`, quota: 'day' }, 0.6)
  }
  metrics.findings.set({ monitor: 'empty', level: 'page', pipeline: 'ads' }, 0)
  metrics.grants.set({ provider: 'ads', state: 'usable' }, 40)
  metrics.grants.set({ provider: 'ads', state: 'refused' }, 0)
  metrics.credentialExpiry.set({ provider: 'ads' }, seconds() + 60 * 86_400)
}

/** What goes wrong, and the alert that is to tell of it. */
const FAULTS: Readonly<Record<string, { readonly alert: string; readonly fault: () => void }>> = {
  'an API is down': {
    alert: 'HeadraceApiDown',
    fault: () => metrics.apiRequests.inc({ api: 'ads-api', code_class: '5xx' }, 5_000),
  },
  'its clients are late': {
    alert: 'HeadraceDataStale',
    fault: () => {
      for (const pipeline of ['ads', 'shop']) metrics.clients.set({ pipeline, state: 'stale' }, 40)
    },
  },
  'a token was revoked': {
    alert: 'HeadraceGrantLost',
    fault: () => metrics.grants.set({ provider: 'ads', state: 'refused' }, 1),
  },
  'a table was altered': {
    alert: 'HeadraceChunksHeld',
    fault: () => metrics.chunks.set({ pipeline: 'shop', state: 'failed' }, 12),
  },
  'half of the rows are missing': { alert: 'HeadraceVolume', fault: () => metrics.volumeRatio.set({ pipeline: 'shop' }, 0.5) },
  'a day has no rows': { alert: 'HeadraceEmpty', fault: () => metrics.volumeRatio.set({ pipeline: 'ads' }, 0) },
  'rules refuse 5 % of the rows': {
    alert: 'HeadraceRejects',
    fault: () => metrics.rowsRejected.inc({ pipeline: 'shop', reason: 'required' }, 4_000),
  },
  'the quota is gone': {
    alert: 'HeadraceChunksParked',
    fault: () => metrics.chunks.set({ pipeline: 'shop', state: 'parked' }, 3),
  },
  'the budget of the month is spent': {
    alert: 'HeadraceBudgetSpent',
    fault: () => metrics.budgetUsed.set({ pipeline: 'shop', period: 'month' }, 1.1),
  },
  'little is left of the quota': {
    alert: 'HeadraceQuotaLow',
    fault: () => metrics.quotaLeft.set({ api: 'shop-api', quota: 'day' }, 0.05),
  },
  'a monitor is alarmed': {
    alert: 'HeadraceFindings',
    fault: () => metrics.findings.set({ monitor: 'repeated', level: 'page', pipeline: 'shop' }, 1),
  },
}

async function get<T>(from: number, path: string): Promise<T> {
  const answer = await fetch(`http://127.0.0.1:${from}${path}`)
  const text = await answer.text()
  assert.equal(answer.status, 200, `${path}: ${text}`)
  return JSON.parse(text)
}

/** Series that a query has now. */
async function series(query: string): Promise<number> {
  const { data } = await get<{ data: { result: unknown[] } }>(promPort, `/api/v1/query?query=${encodeURIComponent(query)}`)
  return data.result.length
}

/** Alerts that Alertmanager has, each name once. */
async function alerts(): Promise<string[]> {
  const found = await get<{ labels: Record<string, string> }[]>(alertPort, '/api/v2/alerts')
  return [...new Set(found.map(({ labels }) => labels.alertname ?? ''))].toSorted()
}

async function until(what: string, met: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await delay(300)) if (await met()) return
  assert.fail(`after ${PATIENCE_MS / 1_000} s: ${what}; Alertmanager has ${(await alerts()).join(', ')}`)
}

/** Every query of every panel, with its variables filled in. */
function queries(): { readonly name: string; readonly query: string }[] {
  return globSync('dashboards/*.json', { cwd: GRAFANA }).flatMap(file => {
    const { panels }: { panels: { title: string; targets?: { expr?: string }[] }[] } = JSON.parse(
      readFileSync(join(GRAFANA, file), 'utf8'),
    )
    return panels.flatMap(({ title, targets = [] }) =>
      targets.flatMap(({ expr }) =>
        expr === undefined
          ? []
          : [
              {
                name: `${file}: ${title}`,
                query: expr.replaceAll('$__rate_interval', '5s').replace(/\$(job|pipeline|api)\b/g, '.+'),
              },
            ],
      ),
    )
  })
}

const rules = readFileSync(join(GRAFANA, 'alerts/headrace.rules.yml'), 'utf8')
  .replace(/for: \d+[mh]/g, 'for: 1s')
  .replace(/\[\d+[mhd]\]/g, '[10s]')
  .replace('interval: 1m', 'interval: 1s')
writeFileSync(join(folder, 'headrace.rules.yml'), rules)
writeFileSync(
  join(folder, 'prometheus.yml'),
  `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [headrace.rules.yml]
alerting: { alertmanagers: [{ static_configs: [{ targets: ['127.0.0.1:${alertPort}'] }] }] }
scrape_configs:
  - { job_name: headrace, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }
  - { job_name: pushgateway, honor_labels: true, static_configs: [{ targets: ['127.0.0.1:${pushPort}'] }] }
`,
)
const routes = readFileSync(join(GRAFANA, 'alertmanager.yml'), 'utf8')
  .replace(/http:\/\/(\w+)\.example\//g, `http://127.0.0.1:${port}/$1`)
  .replace(/group_wait: 30s/g, 'group_wait: 2s')
writeFileSync(join(folder, 'alertmanager.yml'), routes)

/** A backfill that pushes, beside the daemon. */
function pushed(): () => Promise<void> {
  const registry = new Registry()
  startAtZero(createMetrics(registry), 'ads', 'ads-api')
  return pushing({ gateway: `http://127.0.0.1:${pushPort}`, runId: 'a', registry, warn: (_, message) => assert.fail(message) })
}

allIsWell()
const working = setInterval(work, 1_000)
try {
  await start(
    alertmanager,
    [
      `--config.file=${join(folder, 'alertmanager.yml')}`,
      `--storage.path=${join(folder, 'alertmanager')}`,
      `--web.listen-address=127.0.0.1:${alertPort}`,
      `--cluster.listen-address=127.0.0.1:${clusterPort}`,
      '--cluster.advertise-address=127.0.0.1:9094',
      '--log.level=error',
    ],
    `http://127.0.0.1:${alertPort}/-/ready`,
  )
  await start(
    prometheus,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'prometheus')}`,
      `--web.listen-address=127.0.0.1:${promPort}`,
      '--rules.alert.resend-delay=1s',
      '--log.level=error',
    ],
    `http://127.0.0.1:${promPort}/-/ready`,
  )
  await start(
    pushgateway,
    [`--web.listen-address=127.0.0.1:${pushPort}`, '--log.level=error'],
    `http://127.0.0.1:${pushPort}/-/ready`,
  )
  pushed()
  await until('the watchdog has arrived', async () => (await alerts()).includes('HeadraceWatchdog'))
  await until('counters have moved', async () => (await series('rate(headrace_rows_loaded_total[5s]) > 0')) > 0)
  const asked = queries()
  for (const { name, query } of asked) assert.ok((await series(query)) > 0, `${name} has no data: ${query}`)
  assert.deepEqual(await alerts(), ['HeadraceWatchdog'])
  assert.deepEqual([...formats], [Registry.OPENMETRICS_CONTENT_TYPE], 'Prometheus takes OpenMetrics')
  console.log(`${asked.length} queries of all panels have data, and nothing fires while all is well`)

  for (const { fault } of Object.values(FAULTS)) fault()
  for (const [what, { alert }] of Object.entries(FAULTS)) {
    await until(`${what}: ${alert}`, async () => (await alerts()).includes(alert))
    console.log(`${what}: ${alert}`)
  }
  await until('pages and tickets are told', async () =>
    ['/pages HeadraceApiDown', '/pages HeadraceDataStale', '/tickets HeadraceVolume'].every(one => told.includes(one)),
  )
  const late = await get<{ labels: Record<string, string>; status: { state: string } }[]>(
    alertPort,
    '/api/v2/alerts?filter=alertname%3DHeadraceDataStale',
  )
  const states = Object.fromEntries(late.map(({ labels, status }) => [labels.pipeline, status.state]))
  assert.deepEqual(
    states,
    { ads: 'suppressed', shop: 'active' },
    'what an API that is down makes late is left out, and nothing else',
  )
  console.log('one API is down: one page, and the pipeline of the other API speaks on')

  server.closeAllConnections()
  server.close()
  await until('the daemon is down: HeadraceDown', async () => (await alerts()).includes('HeadraceDown'))
  console.log('the daemon is down: HeadraceDown')
} finally {
  clearInterval(working)
  server.closeAllConnections()
  server.close()
  stopAll()
}
