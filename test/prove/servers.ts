import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { offset, rest } from '../../connectors/rest/index.ts'
import { toEpochDay } from '../../lib/chunk.ts'
import type { ApiPolicy } from '../../lib/http/index.ts'
import { defineConnector, definePipeline, type RunEvent } from '../../lib/index.ts'
import { client, day, decimal, integer, text } from '../../lib/mapping.ts'
import { date, defineTable, int64, numeric, string } from '../../lib/table.ts'
import { rows, run } from '../support/run.ts'
import { freePort } from './free-port.ts'
import { fromMediaWiki } from './servers/mediawiki.ts'
import { folder, installed, start, stopAll } from './servers/process.ts'
import { throughToxiproxy } from './servers/toxiproxy.ts'

/**
 * Backfills through servers that nobody here wrote: nginx limits requests and connections per account, compresses, and says 502 when what is behind it
 * breaks off; Prometheus refuses ranges with more than 11,000 points; MediaWiki pages with a continuation of its own; toxiproxy cuts, stalls and slices
 * what comes through it. Every row must arrive, exactly once, or a clear error.
 * Takes a minute or two. Servers that are not installed are named and left out. Run it with: node test/prove/servers.ts
 */

const ACCOUNTS = ['north', 'south', 'east']
const DAYS = 4
const PER_DAY = 95
const PAGE = 10

interface Sale {
  account: string
  day: string
  sale: string
  amount: string
}

/** Any number of sales per account and day; the server breaks off one answer in fifty. */
async function salesServer(): Promise<{ port: number; served: () => number; broken: () => number }> {
  let served = 0
  let broken = 0
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams
    if (query.get('account') === null) return void response.end()
    if (++served % 50 === 0) {
      broken++
      return void response.socket?.resetAndDestroy()
    }
    const first = Number(query.get('offset'))
    const sales = Array.from({ length: Math.min(PAGE, PER_DAY - first) }, (_, n): Sale => {
      return {
        account: query.get('account') ?? '',
        day: query.get('day') ?? '',
        sale: `s${first + n}`,
        amount: `${first + n}.50`,
      }
    })
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ total: PER_DAY, sales }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return { port: (server.address() as AddressInfo).port, served: () => served, broken: () => broken }
}

async function throughNginx(nginx: string): Promise<void> {
  const sales = await salesServer()
  const port = await freePort()
  const config = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${join(folder, name)};`)
  writeFileSync(
    config,
    `daemon off; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')}; events {}
    http {
      access_log ${join(folder, 'access.log')}; ${temporary.join(' ')}
      gzip on; gzip_types application/json; gzip_min_length 100;
      limit_req_zone $arg_account$uri zone=account:1m rate=20r/s;
      limit_conn_zone $arg_account$uri zone=connections:1m; limit_req zone=account burst=5 nodelay; limit_conn connections 2;
      map $status $wait { 429 1; default ""; }
      add_header Retry-After $wait always;
      server {
        listen 127.0.0.1:${port};
        location /told { limit_req_status 429; limit_conn_status 429; proxy_pass http://127.0.0.1:${sales.port}; }
        location / { proxy_pass http://127.0.0.1:${sales.port}; }
      }
    }`,
  )
  await start(nginx, ['-c', config, '-e', join(folder, 'error.log')], `http://127.0.0.1:${port}/`)
  // nginx itself says 503, and not how long to wait.
  const declared: ApiPolicy = { limits: [{ per: 'account', requests: 20, seconds: 1, burst: 5 }], concurrency: 2 }
  const ways: readonly { readonly name: string; readonly refusal: number; readonly api?: ApiPolicy }[] = [
    { name: 'told', refusal: 429 },
    { name: 'silent', refusal: 503 },
    { name: 'declared', refusal: 503, api: declared },
  ]
  for (const way of ways) await sellThrough(way)

  async function sellThrough({ name, refusal, api }: (typeof ways)[number]): Promise<void> {
    const before = sales.broken()
    const table = defineTable(
      'shop.sales',
      { client_id: string(), date: date(), sale: string(), amount: numeric() },
      { partitionBy: 'date', key: ['client_id', 'date', 'sale'] },
    )
    const pipeline = definePipeline({
      name: 'sales',
      source: rest<Sale>({
        name: 'sales',
        url: `http://127.0.0.1:${port}/${name}`,
        ...(api === undefined ? {} : { api }),
        query: { account: '{client}', day: '{from}' },
        records: 'sales',
        pages: offset({ param: 'offset', size: { param: 'limit', records: PAGE }, total: 'total' }),
      }),
      table,
      map: { client_id: client('account'), date: day('day'), sale: text('sale'), amount: decimal('amount') },
      totals: ['amount'],
    })
    const { exitCode, progress } = await run({
      folder: join(folder, `nginx-${name}`),
      pipeline,
      from: '2026-03-01',
      to: `2026-03-0${DAYS}`,
      clients: ACCOUNTS,
      settings: { concurrency: 8, requestAttempts: 20 },
    })
    assert.equal(exitCode, 0)
    assert.equal(progress.published, ACCOUNTS.length * DAYS)
    const [found] = await rows(
      join(folder, `nginx-${name}`),
      'SELECT count(*)::INT AS n, count(DISTINCT (client_id, date, sale))::INT AS keys FROM shop.sales',
    )
    assert.deepEqual(found, { n: ACCOUNTS.length * DAYS * PER_DAY, keys: ACCOUNTS.length * DAYS * PER_DAY })
    const log = readFileSync(join(folder, 'access.log'), 'utf8').split('\n')
    const count = (status: number): number =>
      log.filter(line => line.includes(`GET /${name}?`) && line.includes(`HTTP/1.1" ${status} `)).length
    if (api === undefined) assert.ok(count(refusal) > 0, 'nginx has refused something')
    else assert.ok(count(refusal) * 10 < count(200), 'where the limit is declared nginx refuses hardly anything')
    assert.equal(count(502), sales.broken() - before, 'what broke off behind nginx came as 502')
    console.log(
      `nginx, ${name}: ${found?.n} rows in ${count(200)} answers, ${count(refusal)} times ${refusal}, ${count(502)} times 502`,
    )
  }
}

/** A sample per hour of ten days; headrace asks for one point per 10 seconds, of which Prometheus gives 11,000, a day and a quarter. */
async function fromPrometheus(prometheus: string, promtool: string): Promise<void> {
  const [from, to] = ['2026-03-01', '2026-03-10']
  const first = toEpochDay(from) * 86_400
  const samples = Array.from({ length: 240 }, (_, hour) => `sold_units{shop="north"} ${hour}.5 ${first + hour * 3_600}`)
  const data = join(folder, 'prometheus')
  writeFileSync(join(folder, 'samples'), `# TYPE sold_units gauge\n${samples.join('\n')}\n# EOF\n`)
  execFileSync(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'samples'), data], { stdio: 'ignore' })
  const port = await freePort()
  writeFileSync(join(folder, 'prometheus.yml'), '')
  const url = `http://127.0.0.1:${port}`
  const args = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${data}`,
    '--storage.tsdb.retention.time=100y',
  ]
  await start(prometheus, [...args, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], `${url}/-/ready`)
  interface Point {
    day: string
    at: number
    units: string
  }
  const source = defineConnector<Point>({
    name: 'prometheus',
    api: {
      classify: ({ status, text }) => (status === 400 && text.includes('exceeded maximum resolution') ? 'too-much' : undefined),
    },
    async *pages({ client, window, http }) {
      const [start, end] = [`${window.from}T00:00:00Z`, `${window.to}T23:59:50Z`]
      const query = `last_over_time(sold_units{shop="${client}"}[9s])`
      const { body } = await http.json(`${url}/api/v1/query_range?${new URLSearchParams({ query, start, end, step: '10' })}`)
      const { data } = body as { data: { result: { values: [number, string][] }[] } }
      yield data.result.flatMap(({ values }) =>
        values.map(([at, units]) => ({ day: new Date(at * 1_000).toISOString().slice(0, 10), at, units })),
      )
    },
  })
  const table = defineTable(
    'shop.units',
    { client_id: string(), date: date(), at: int64(), units: numeric() },
    { partitionBy: 'date', key: ['client_id', 'date', 'at'] },
  )
  const halved: string[] = []
  const { exitCode, progress, totals } = await run({
    folder: join(folder, 'halved'),
    pipeline: definePipeline({
      name: 'units',
      source,
      table,
      map: { client_id: client(), date: day('day'), at: integer('at'), units: decimal('units') },
      chunk: { days: 10 },
      totals: ['units'],
    }),
    from,
    to,
    clients: ['north'],
    observe: (event: RunEvent) => void (event.type === 'warning' && event.name === 'WINDOW_HALVED' && halved.push(event.message)),
  })
  assert.equal(exitCode, 0)
  assert.equal(progress.published, 10)
  assert.equal(halved.length, 9)
  const [found] = await rows(join(folder, 'halved'), 'SELECT count(*)::INT AS n, sum(units)::VARCHAR AS units FROM shop.units')
  assert.deepEqual(found, { n: 240, units: '28800.000000000' })
  console.log(`prometheus: one chunk of 10 days, refused ${halved.length} times, ${totals.states.published?.inserted} rows`)
}

try {
  const nginx = installed('nginx')
  if (nginx !== undefined) await throughNginx(nginx)
  const [prometheus, promtool] = [installed('prometheus'), installed('promtool')]
  if (prometheus !== undefined && promtool !== undefined) await fromPrometheus(prometheus, promtool)
  const php = installed('php')
  if (php !== undefined) await fromMediaWiki(php)
  const go = installed('go')
  if (go !== undefined) await throughToxiproxy(go)
} finally {
  stopAll()
}
