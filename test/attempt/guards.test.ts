import fc from 'fast-check'
import t from 'tap'
import type { Drift } from '../../lib/attempt/drift.ts'
import { type Guarded, guard, mustReadTwice, previousRows, restatedDays, sameDays } from '../../lib/attempt/guards.ts'
import type { SourceTotal } from '../../lib/attempt/source-totals.ts'
import type { DaySummary } from '../../lib/attempt/summary.ts'
import { defineConnector } from '../../lib/connector.ts'
import { DataError, TransientError } from '../../lib/errors.ts'
import type { PublishedDay } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { type Checks, definePipeline, type Pipeline } from '../../lib/pipeline.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { publishedDay } from '../published.ts'

function pipelineWith(checks: Checks): Pipeline {
  return definePipeline({
    name: 'visits',
    source: defineConnector<{ readonly date: string }>({ name: 'visits', async *pages() {} }),
    table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
    map: { client_id: client(), date: day('date') },
    checks,
  })
}

/** A chunk of as many days from 2026-01-01 on as rows are given, with the rejects of its first day. */
function staged(rows: readonly number[], rejected = 0): Guarded & { readonly days: readonly DaySummary[] } {
  const days = rows.map((count, index) => summary(`2026-01-0${index + 1}`, { rows: count, rejected: index === 0 ? rejected : 0 }))
  const total = rows.reduce((sum, count) => sum + count, 0)
  return {
    chunk: { pipeline: 'visits', client: 'a', window: { from: '2026-01-01', to: `2026-01-0${rows.length}` } },
    rows: { extracted: total + rejected, staged: total, rejected },
    days,
    drifts: [],
    sourceTotals: [],
  }
}

function summary(day: string, more: Partial<DaySummary> = {}): DaySummary {
  return { day, rows: 1, rejected: 0, fingerprint: '00000000000000ff', totals: {}, ...more }
}

function published(...rows: readonly number[]): PublishedDay[] {
  return rows.map((count, index) => publishedDay(`2026-01-0${index + 1}`, { rows: count }))
}

function codeOf(pipeline: Pipeline, chunk: Guarded, before: readonly PublishedDay[], force = false): string {
  try {
    guard(pipeline, chunk, before, force)
    return 'passed'
  } catch (error) {
    if (error instanceof DataError || error instanceof TransientError) return error.code
    throw error
  }
}

t.test('a chunk with more rejects than allowed is held, with exactly as many it is not', async t => {
  const pipeline = pipelineWith({ rejects: { atMost: 0.1 } })
  t.equal(codeOf(pipeline, staged([9], 1), []), 'passed')
  t.equal(codeOf(pipeline, staged([8], 1), []), 'REJECTS_TOO_MANY')
  t.equal(codeOf(pipeline, staged([0]), []), 'passed')
  t.equal(codeOf(pipelineWith({ rejects: { atMost: 0 } }), staged([1_000_000], 1), []), 'REJECTS_TOO_MANY')
  t.equal(codeOf(pipelineWith({ rejects: { atMost: 1 } }), staged([0], 5), []), 'passed')
})

t.test('forced, a chunk is not compared with what was published, but its rejects count', async t => {
  t.equal(codeOf(pipelineWith({ empty: 'hold' }), staged([0]), published(5)), 'EMPTY_CHUNK')
  t.equal(codeOf(pipelineWith({ empty: 'hold' }), staged([0]), published(5), true), 'passed')
  t.equal(codeOf(pipelineWith({ volume: { atLeast: 0.5 } }), staged([1]), published(5), true), 'passed')
  t.equal(codeOf(pipelineWith({ rejects: { atMost: 0.1 } }), staged([8], 1), [], true), 'REJECTS_TOO_MANY')
})

t.test(
  'what is read and came differently stops a chunk under the policies to hold and to fail; a new field never does',
  async t => {
    const drift = { path: 'a', value: '', count: 1, records: 2, before: '' }
    const drifted = (change: Drift['change']): Guarded => ({ ...staged([2]), drifts: [{ ...drift, change }] })
    for (const change of ['missing', 'type_changed', 'value_added'] as const) {
      t.equal(codeOf(pipelineWith({}), drifted(change), []), 'passed')
      t.equal(codeOf(pipelineWith({ drift: 'hold' }), drifted(change), []), 'SCHEMA_DRIFTED')
      t.equal(codeOf(pipelineWith({ drift: 'fail' }), drifted(change), []), 'SCHEMA_UNSETTLED')
      t.equal(codeOf(pipelineWith({ drift: 'hold' }), drifted(change), [], true), 'passed')
    }
    t.equal(codeOf(pipelineWith({ drift: 'hold' }), drifted('added'), []), 'passed')
    const both = { ...staged([1], 1), drifts: drifted('missing').drifts }
    t.equal(codeOf(pipelineWith({ drift: 'hold' }), both, []), 'SCHEMA_DRIFTED', 'the cause comes before the rejects it made')
  },
)

t.test('a share that is met exactly is met, whatever doubles make of it', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100 }), part => {
      const share = Number(`${part}e-2`)
      const rejects = pipelineWith({ rejects: { atMost: share } })
      const volume = pipelineWith({ volume: { atLeast: share }, rejects: { atMost: 1 } })
      return (
        codeOf(rejects, staged([100 - part], part), []) === 'passed' &&
        (part === 0 || codeOf(volume, staged([part]), published(100)) === 'passed') &&
        (part < 2 || codeOf(volume, staged([part - 1]), published(100)) === 'VOLUME_DROP')
      )
    }),
    { numRuns: 101 },
  )
})

t.test('a day is suspiciously empty when it had rows and now has neither rows nor rejects', async t => {
  const pipeline = pipelineWith({})
  t.ok(mustReadTwice(pipeline, staged([1, 0]), published(1, 5)))
  t.ok(mustReadTwice(pipelineWith({ empty: 'hold' }), staged([0]), published(5)))
  t.notOk(mustReadTwice(pipelineWith({ empty: 'allow' }), staged([0]), published(5)))
  t.notOk(mustReadTwice(pipeline, staged([0]), published(0)), 'it was empty before')
  t.notOk(mustReadTwice(pipeline, staged([0]), []), 'it was never published')
  t.notOk(mustReadTwice(pipeline, staged([0], 3), published(5)), 'all of it was rejected')
  t.notOk(mustReadTwice(pipeline, staged([1, 1]), published(1, 5)), 'it has rows')
})

t.test('an empty day holds the chunk only under the policy to hold, and names itself', async t => {
  t.equal(codeOf(pipelineWith({ empty: 'confirm' }), staged([0]), published(5)), 'passed')
  t.equal(codeOf(pipelineWith({ empty: 'allow' }), staged([0]), published(5)), 'passed')
  t.equal(codeOf(pipelineWith({ empty: 'hold' }), staged([5, 0]), published(5, 5)), 'EMPTY_CHUNK')
  try {
    guard(pipelineWith({ empty: 'hold' }), staged([0, 5, 0]), published(2, 5, 7), false)
    t.fail('must be held')
  } catch (error) {
    t.match(error, { message: /no rows for 2026-01-01, 2026-01-03, 9 when last published/, hint: /--force/ })
  }
})

t.test('far fewer rows than before hold the chunk, when all of its days were published before', async t => {
  const pipeline = pipelineWith({ volume: { atLeast: 0.5 }, empty: 'allow' })
  t.equal(codeOf(pipeline, staged([5]), published(10)), 'passed')
  t.equal(codeOf(pipeline, staged([4]), published(10)), 'VOLUME_DROP')
  t.equal(codeOf(pipeline, staged([1, 1]), published(10)), 'passed', 'one of two days is new')
  t.equal(codeOf(pipeline, staged([4, 4]), published(10, 10)), 'VOLUME_DROP')
  t.equal(codeOf(pipeline, staged([0, 0]), published(10, 10)), 'passed', 'emptiness is for the empty policy')
  t.equal(codeOf(pipelineWith({ volume: { atLeast: 0 } }), staged([1]), published(1_000_000)), 'passed')
})

t.test('the rows a window held are known when every day of it was published', async t => {
  const chunk = { window: { from: '2026-01-01', to: '2026-01-03' } }
  t.equal(previousRows(chunk, published(1, 2, 3)), 6)
  t.equal(previousRows(chunk, published(0, 0, 0)), 0)
  t.equal(previousRows(chunk, published(1, 2)), null)
})

t.test('days are the same when rows, rejects, fingerprint and totals are', async t => {
  const now = [summary('2026-01-01', { totals: { cost: '5.23' } }), summary('2026-01-02')]
  const before = [publishedDay('2026-01-01', { totals: { cost: '5.23' } }), publishedDay('2026-01-02')]
  t.ok(sameDays(now, before))
  t.same(restatedDays(now, before), [])
  for (const change of [{ rows: 2 }, { rejected: 1 }, { fingerprint: '0000000000000fff' }, { totals: { cost: '5.24' } }]) {
    const changed = [{ ...summary('2026-01-01', { totals: { cost: '5.23' } }), ...change }, summary('2026-01-02')]
    t.notOk(sameDays(changed, before), JSON.stringify(change))
    t.same(restatedDays(changed, before), ['2026-01-01'], JSON.stringify(change))
  }
})

t.test('a day in doubt, or never published, is not the same', async t => {
  t.notOk(sameDays([summary('2026-01-01')], [publishedDay('2026-01-01', { doubtful: true })]))
  t.notOk(sameDays([summary('2026-01-01'), summary('2026-01-02')], [publishedDay('2026-01-01')]))
  t.same(restatedDays([summary('2026-01-01'), summary('2026-01-02')], [publishedDay('2026-01-01')]), [])
})

t.test(
  'what is not what the source states is read twice, then held, unless the policy is to warn or a person forces it',
  async t => {
    const total: SourceTotal = { column: 'clicks', stated: '10', unreadable: null, staged: '7', rejected: '1', agrees: false }
    const differing = (some: Partial<SourceTotal>): Guarded & { readonly days: readonly DaySummary[] } => ({
      ...staged([2]),
      sourceTotals: [
        { ...total, column: 'cost', agrees: true },
        { ...total, ...some },
      ],
    })
    const warn = pipelineWith({ sourceTotals: { policy: 'warn' } })
    for (const some of [{}, { stated: null, unreadable: 'it states none' }]) {
      t.ok(mustReadTwice(pipelineWith({}), differing(some), []))
      t.notOk(mustReadTwice(warn, differing(some), []))
      t.equal(codeOf(pipelineWith({}), differing(some), []), 'SOURCE_DIVERGED')
      t.equal(codeOf(warn, differing(some), []), 'passed')
      t.equal(codeOf(pipelineWith({}), differing(some), [], true), 'passed')
    }
    t.notOk(mustReadTwice(pipelineWith({}), differing({ agrees: true }), []))
    t.equal(codeOf(pipelineWith({}), differing({ agrees: true }), []), 'passed')
    t.throws(() => guard(pipelineWith({}), differing({}), [], false), {
      message: 'visits/a/2026-01-01: clicks is 10 at the source, 7 staged and 1 rejected; read twice',
      hint: /--force/,
    })
  },
)
