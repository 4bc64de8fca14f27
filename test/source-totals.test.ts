import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { offset, rest } from '../connectors/index.ts'
import { addDays, daysOf } from '../lib/chunk.ts'
import { type Checks, definePipeline, type RunEvent } from '../lib/index.ts'
import { client, day, integer, micros } from '../lib/mapping.ts'
import { date, defineTable, int64, numeric, string } from '../lib/table.ts'
import { type Received, type Scripted, serve } from './servers/http.ts'
import { openLedger, rows, run } from './support/run.ts'

/** One keyword of a day. */
interface Click {
  readonly date: string
  readonly id: number
  readonly clicks: number
  readonly costMicros: string
}

/** What a day adds up to, as an account-level report has it. */
interface Summary {
  readonly clicks: string
  readonly costMicros: string
}

const DAY = '2026-01-01'
const table = defineTable(
  'ads.clicks',
  { client_id: string(), date: date(), id: int64(), clicks: int64({ maximum: 1_000 }), cost: numeric() },
  { partitionBy: 'date', key: ['client_id', 'date', 'id'] },
)

/** Three keywords of each day: 6 clicks, 0.6 of cost. */
function clicksOf(days: readonly string[]): Click[] {
  return days.flatMap(date => [1, 2, 3].map(id => ({ date, id, clicks: id, costMicros: String(id * 100_000) })))
}

/** What an API answers, which list it is that is read, counted from 1. */
interface Api {
  readonly list?: (records: Click[], reading: number) => unknown[]
  readonly summary?: (summary: Summary, reading: number) => unknown
}

/** Serves such an API, and reads it into a folder with a pipeline that compares. */
async function reading(t: Test, { list = all => all, summary = all => all }: Api, checks: Checks['sourceTotals'] = {}) {
  let read = 0
  const answer = ({ query, path }: Received): Scripted => {
    const records = clicksOf(daysOf({ from: String(query.get('from')), to: String(query.get('to')) }))
    if (path.startsWith('/account')) {
      const clicks = records.reduce((sum, record) => sum + record.clicks, 0)
      return { body: { totals: summary({ clicks: String(clicks), costMicros: String(clicks * 100_000) }, read) } }
    }
    const start = Number(query.get('start'))
    if (start === 0) read++
    return { body: { data: list(records, read).slice(start, start + 2) } }
  }
  const server = await serve(answer)
  t.teardown(() => server.close())
  const query = { from: '{from}', to: '{to}' }
  const pipeline = definePipeline({
    name: 'clicks',
    source: rest<Click, Summary>({
      ...{ name: 'ads', url: `${server.url}/list`, query, records: 'data' },
      pages: offset({ param: 'start', size: { param: 'limit', records: 2 } }),
      totals: { url: `${server.url}/account`, query, at: 'totals' },
    }),
    table,
    map: {
      client_id: client(),
      date: day('date'),
      id: integer('id'),
      clicks: integer('clicks'),
      cost: micros('costMicros'),
    },
    chunk: { days: 3 },
    checks: { rejects: { atMost: 0.5 }, sourceTotals: checks },
    totals: ['clicks', 'cost'],
    sourceTotals: { clicks: integer('clicks'), cost: micros('costMicros') },
  })
  const folder = t.testdir()
  const backfill = async (options: { readonly force?: boolean; readonly to?: string } = {}) => {
    const warnings: string[] = []
    const registry = new Registry()
    const observe = (event: RunEvent): void => {
      if (event.type === 'warning' && event.name === 'SOURCE_DIFFERS') warnings.push(event.message)
    }
    const asked = { folder, pipeline, from: DAY, to: options.to ?? DAY, clients: ['a'], force: options.force ?? false }
    const { exitCode } = await run({ ...asked, observe, registry })
    const ledger = openLedger(folder)
    const problems = await ledger.problems('clicks', undefined, 10)
    await ledger.close()
    const counted = await registry.getSingleMetric('headrace_source_totals_total')?.get()
    const results = Object.fromEntries(counted?.values.map(({ labels, value }) => [labels.result, value]) ?? [])
    return { exitCode, problems: problems.map(({ problem }) => problem), warnings, results }
  }
  const remembered = async () => {
    const ledger = openLedger(folder)
    const { chunks } = await ledger.recent('clicks', DAY, Date.now())
    await ledger.close()
    return chunks.map(({ sourceTotals }) => sourceTotals)
  }
  return { backfill, remembered, folder, readings: () => read }
}

const stored = (folder: string) => rows(folder, 'SELECT sum(clicks)::INTEGER AS clicks FROM ads.clicks')

t.test('rows that add up to what the source states are published, and the comparison is remembered', async t => {
  const { backfill, remembered, readings } = await reading(t, {})
  t.match(await backfill({ to: addDays(DAY, 2) }), {
    exitCode: 0,
    warnings: [],
    results: { agreed: 2, diverged: 0, unreadable: 0 },
  })
  t.equal(readings(), 1)
  const total = { unreadable: null, rejected: '0', agrees: true }
  t.strictSame(await remembered(), [
    [
      { column: 'clicks', stated: '18', staged: '18', ...total },
      { column: 'cost', stated: '1.8', staged: '1.8', ...total },
    ],
  ])
})

t.test('a record that is missing or doubled in one reading is noticed, and the chunk is read again', async t => {
  const spoils: Api['list'][] = [
    (all, reading) => (reading === 1 ? all.slice(1) : all),
    (all, reading) => (reading === 1 ? [...all, { ...all[0], id: 9 }] : all),
  ]
  for (const list of spoils) {
    const { backfill, readings, folder } = await reading(t, list === undefined ? {} : { list })
    t.match(await backfill(), { exitCode: 0, results: { agreed: 2, diverged: 0 } })
    t.equal(readings(), 2)
    t.strictSame(await stored(folder), [{ clicks: 6 }])
  }
})

t.test('a record that stays missing holds the chunk with both numbers; forced, it is published and told of', async t => {
  const { backfill, readings, folder, remembered } = await reading(t, { list: all => all.slice(1) })
  const held = await backfill()
  t.match(held, {
    exitCode: 42,
    problems: [
      {
        code: 'SOURCE_DIVERGED',
        message: 'clicks/a/2026-01-01: clicks is 6 at the source, 5 staged; cost is 0.6 at the source, 0.5 staged; read twice',
      },
    ],
    warnings: [],
    results: { agreed: 0, diverged: 2 },
  })
  t.equal(readings(), 2)
  t.strictSame(await stored(folder), [{ clicks: null }], 'nothing is published')
  const forced = await backfill({ force: true })
  t.match(forced, { exitCode: 0, warnings: [/clicks is 6 at the source, 5 staged; cost/] })
  t.equal(readings(), 3, 'what a person wants is read once')
  t.strictSame(await stored(folder), [{ clicks: 5 }])
  t.match(await remembered(), [[{ column: 'clicks', agrees: false }, { column: 'cost' }]])
})

t.test('under the policy to warn it is published after one reading, and told of', async t => {
  const { backfill, readings, folder } = await reading(t, { list: all => all.slice(1) }, { policy: 'warn' })
  t.match(await backfill(), { exitCode: 0, warnings: [/clicks is 6 at the source, 5 staged/], results: { diverged: 2 } })
  t.equal(readings(), 1)
  t.strictSame(await stored(folder), [{ clicks: 5 }])
})

t.test('a difference within the tolerance is none, one beyond it is', async t => {
  for (const [clicks, exitCode] of [
    ['5', 0],
    ['8', 0],
    ['4', 42],
    ['9', 42],
  ] as const) {
    const { backfill } = await reading(t, { summary: all => ({ ...all, clicks }) }, { atMost: 0.25 })
    t.equal((await backfill()).exitCode, exitCode, `${clicks} stated, 6 read`)
  }
})

t.test('what was rejected counts as read, as far as it has a value; what belongs elsewhere does not', async t => {
  const refused = { date: DAY, id: 4, clicks: 2_000, costMicros: '700000' }
  const elsewhere = { ...refused, date: addDays(DAY, 5) }
  const { backfill, remembered } = await reading(t, {
    list: all => [...all, refused, elsewhere],
    summary: () => ({ clicks: 2_006, costMicros: '1300000' }),
  })
  t.match(await backfill(), { exitCode: 0, results: { agreed: 2 } })
  t.match(await remembered(), [
    [
      { column: 'clicks', stated: '2006', staged: '6', rejected: '2000', agrees: true },
      { column: 'cost', stated: '1.3', staged: '0.6', rejected: '0.7', agrees: true },
    ],
  ])
})

t.test('a source that states nothing, or what is no number, is never taken for one that agrees', async t => {
  const cases = [
    [null, /clicks cannot be read at the source \(it states none\), 6 staged; cost cannot/],
    [{ clicks: '6' }, /: cost cannot be read at the source \(it states none\), 0.6 staged;/],
    [{ clicks: 'six', costMicros: 600_000 }, /: clicks cannot be read at the source \("six" is not a whole number\), 6 staged;/],
  ] as const
  for (const [stated, message] of cases) {
    const { backfill } = await reading(t, { summary: () => stated })
    t.match(await backfill(), { exitCode: 42, problems: [{ code: 'SOURCE_DIVERGED', message }] })
  }
  const { backfill } = await reading(t, { summary: () => 'none today' })
  t.match(await backfill(), {
    exitCode: 42,
    problems: [{ code: 'PAGE_MALFORMED', message: /totals is a string, not an object/ }],
  })
})

t.test('no records and nothing stated of them agree; no records where something is stated do not', async t => {
  const nothing = { list: () => [], summary: () => null }
  t.match(await (await reading(t, nothing)).backfill(), { results: { agreed: 2 }, problems: [] })
  const sums = { list: () => [], summary: () => ({ clicks: '0', costMicros: null }) }
  t.match(await (await reading(t, sums)).backfill(), { results: { agreed: 2 }, problems: [] }, 'a sum of nothing may be null')
  const { backfill } = await reading(t, { list: () => [] })
  t.match(await backfill(), {
    exitCode: 42,
    problems: [{ code: 'SOURCE_DIVERGED', message: /clicks is 6 at the source, 0 staged/ }],
  })
})

t.test('totals that pages state otherwise than the pages before mean that rows moved: the chunk is read again', async t => {
  let pages = 0
  const server = await serve(({ query }) => {
    const start = Number(query.get('start'))
    const summary = { clicks: ++pages === 2 ? 7 : 6 }
    return { body: { data: clicksOf([DAY]).slice(start, start + 2), total: 3, summary } }
  })
  t.teardown(() => server.close())
  const pipeline = definePipeline({
    name: 'clicks',
    source: rest<Click, { clicks: number }>({
      ...{ name: 'ads', url: `${server.url}/list`, records: 'data', totals: 'summary' },
      pages: offset({ param: 'start', size: { param: 'limit', records: 2 }, total: 'total' }),
    }),
    table,
    map: { client_id: client(), date: day('date'), id: integer('id'), clicks: integer('clicks'), cost: micros('costMicros') },
    totals: ['clicks'],
    sourceTotals: { clicks: integer('clicks') },
  })
  const folder = t.testdir()
  t.equal((await run({ folder, pipeline, from: DAY, to: DAY, clients: ['a'] })).exitCode, 0)
  t.equal(server.received.length, 4, 'two pages, twice')
  t.strictSame(await stored(folder), [{ clicks: 6 }])
})
