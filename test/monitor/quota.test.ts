import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { pageToken, rest } from '../../connectors/rest/index.ts'
import { type ApiPolicy, leftHeaders, usedHeader } from '../../lib/http/index.ts'
import { definePipeline, type Pipeline } from '../../lib/index.ts'
import { client, day, integer } from '../../lib/mapping.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { setGauges } from '../../lib/monitor/gauges.ts'
import { watch } from '../../lib/monitor/watch.ts'
import { date, defineTable, int64, string } from '../../lib/table.ts'
import { type Scripted, serve } from '../servers/http.ts'
import { openLedger, run } from '../support/run.ts'

const WINDOW = { from: '2026-01-01', to: '2026-01-02' } as const

/** Says how much of a day is left in one header, how much of a minute in another, and what percentage of an hour is used in a third. */
const API: ApiPolicy = {
  left: [
    leftHeaders({ bucket: 'account', remaining: 'x-minute-left', limit: 'x-minute-limit' }),
    leftHeaders({ bucket: 'account', name: 'day', remaining: 'x-day-left', limit: 'x-day-limit' }),
    usedHeader({ bucket: 'app', name: 'hour', header: 'x-usage', percent: ['used'] }),
  ],
}

function pipelineOf(url: string, name: string): Pipeline {
  return definePipeline({
    name,
    source: rest<{ account: string; date: string; clicks: number }>({
      name: 'ads-api',
      url: `${url}/${name}`,
      query: { client: '{client}', day: '{from}' },
      records: 'data',
      pages: pageToken({ param: 'page', next: 'next' }),
      api: API,
    }),
    table: defineTable(
      `ads.${name}`,
      { client_id: string(), date: date(), clicks: int64() },
      { partitionBy: 'date', key: ['client_id', 'date'] },
    ),
    map: { client_id: client('account'), date: day('date'), clicks: integer('clicks') },
  })
}

/** Backfills some pipelines from an API, and looks what monitors and gauges say then. */
async function seenAfter(t: Test, names: readonly string[], script: Scripted, laterMs = 0) {
  const server = await serve(script)
  t.teardown(() => server.close())
  const folder = t.testdir()
  const pipelines = names.map(name => pipelineOf(server.url, name))
  const clients = ['a', 'b']
  for (const pipeline of pipelines) {
    await run({ folder, pipeline, ...WINDOW, clients, settings: { attempts: 1, requestAttempts: 1, longestWaitSeconds: 0 } })
  }
  const ledger = openLedger(folder)
  try {
    const now = Date.now() + laterMs
    const watched = clients.map(id => ({ id, timeZone: 'UTC' }))
    const seen = await watch({ config: { pipelines, ledger }, clients: watched, grantKey: undefined, now })
    const registry = new Registry()
    const metrics = createMetrics(registry)
    metrics.quotaLeft.set({ api: 'gone', quota: 'day' }, 1)
    setGauges(metrics, seen, now)
    const { values } = await metrics.quotaLeft.get()
    const found = seen.findings.filter(({ monitor }) => monitor === 'quota')
    return { found, gauges: values.map(({ labels, value }) => [labels.api, labels.quota, value]) }
  } finally {
    await ledger.close()
  }
}

function answer(query: URLSearchParams, left: string): Scripted {
  const headers = {
    'x-minute-left': '0',
    'x-minute-limit': '60',
    'x-day-left': left,
    'x-day-limit': '1000',
    'x-usage': '{"used":40}',
  }
  return { headers, body: { data: [{ account: query.get('client'), date: query.get('day'), clicks: 1 }] } }
}

t.test('what answers say is left is kept, the least of all accounts and pipelines is shown and told of once', async t => {
  const { found, gauges } = await seenAfter(t, ['campaigns', 'keywords'], ({ query, path }) =>
    answer(query, query.get('client') === 'b' ? (path.startsWith('/keywords') ? '20' : '90') : '800'),
  )
  t.match(
    gauges.sort(),
    [
      ['ads-api', 'day', 0.02],
      ['ads-api', 'hour', 0.6],
    ],
    'a limit without a name is not shown',
  )
  t.equal(found.length, 1)
  t.match(found, [
    {
      level: 'ticket',
      subject: 'ads-api day',
      pipelines: ['campaigns', 'keywords'],
      what: 'ads-api day: 9 % of the quota left, the least that an answer of the last hour has said; keywords: ads-api day: 2 % of the quota left, the least that an answer of the last hour has said',
    },
  ])
})

t.test('an API that refuses because nothing is left says so too', async t => {
  const { found, gauges } = await seenAfter(t, ['campaigns'], () => ({
    status: 429,
    headers: { 'retry-after': '3600', 'x-day-left': '0', 'x-day-limit': '1000' },
    body: 'no',
  }))
  t.strictSame(gauges, [['ads-api', 'day', 0]])
  t.match(found, [{ subject: 'ads-api day', what: /^ads-api day: 0 % of the quota left/ }])
})

t.test('what has no limit has no share, and what was said more than an hour ago is not known any more', async t => {
  const unknown = await seenAfter(t, ['campaigns'], ({ query }) => ({
    headers: { 'x-day-left': '1' },
    body: { data: [{ account: query.get('client'), date: query.get('day'), clicks: 1 }] },
  }))
  t.strictSame(unknown, { found: [], gauges: [] })
  t.strictSame(await seenAfter(t, ['campaigns'], ({ query }) => answer(query, '1'), 3_600_001), { found: [], gauges: [] })
})
