import t from 'tap'
import type { Claim } from '../../lib/ledger/ledger.ts'
import { assertionsOf, metricsOf } from '../../lib/lineage/quality.ts'
import { day, summaryOf } from '../../lib/testing/ledger-case.ts'
import { AdsApi, adsPipeline } from '../support/ads.ts'

const claim: Claim = {
  chunk: { pipeline: 'campaigns', client: 'a', window: { from: '2026-03-01', to: '2026-03-02' } },
  runId: 'run',
  priority: 'live',
  force: false,
  attemptId: 'attempt',
  generation: 1,
  attempt: 1,
}
const made = { force: false, code: null } as const
const names = (assertions: readonly { assertion: string; success: boolean }[]): string =>
  assertions.map(({ assertion, success }) => (success ? assertion : `${assertion}!`)).join(' ')

t.test('the checks that are told of are those that the pipeline makes, up to the one that failed', async t => {
  const pipeline = adsPipeline(new AdsApi().connector(1), { checks: { drift: 'hold', empty: 'hold' } })
  const plain = summaryOf(claim)
  const summary = { ...plain, rows: { ...plain.rows, previous: plain.rows.staged } }
  t.equal(names(assertionsOf(pipeline, summary, made)), 'balance drift rejects empty volume unique')
  t.equal(names(assertionsOf(pipeline, summary, { force: true, code: null })), 'balance rejects unique')
  t.equal(names(assertionsOf(pipeline, summary, { force: false, code: 'CHUNK_UNBALANCED' })), 'balance!')
  t.equal(names(assertionsOf(pipeline, summary, { force: false, code: 'SCHEMA_UNSETTLED' })), 'balance drift!')
  t.equal(names(assertionsOf(pipeline, summary, { force: false, code: 'EMPTY_CHUNK' })), 'balance drift rejects empty!')
  t.equal(names(assertionsOf(pipeline, summary, { force: false, code: 'VOLUME_DROP' })), 'balance drift rejects empty volume!')
  t.equal(
    names(assertionsOf(pipeline, summary, { force: false, code: 'KEY_DUPLICATED' })),
    'balance drift rejects empty volume unique!',
  )
  t.equal(names(assertionsOf(pipeline, summary, { force: false, code: 'WAREHOUSE_FAILED' })), '')
  const lax = adsPipeline(new AdsApi().connector(1), { checks: { volume: { atLeast: 0 } } })
  t.equal(names(assertionsOf(lax, summary, made)), 'balance rejects unique')
  t.equal(
    names(assertionsOf(lax, { ...summary, rejectedBy: { minimum: 2, type: 1 } }, made)),
    'balance rejects unique minimum! type!',
  )
})

t.test('what the source states is told column by column, and keeps a chunk out only where the pipeline says so', async t => {
  const compared = { unreadable: null, rejected: '0.5', agrees: true }
  const summary = {
    ...summaryOf(claim),
    sourceTotals: [
      { ...compared, column: 'cost', stated: '10.25', staged: '9.75' },
      { ...compared, column: 'clicks', stated: null, staged: '3', rejected: '0', agrees: false },
    ],
  }
  const told = (policy: 'hold' | 'warn', code: 'SOURCE_DIVERGED' | null, force = false) =>
    assertionsOf(adsPipeline(new AdsApi().connector(1), { checks: { sourceTotals: { policy } } }), summary, {
      force,
      code,
    }).filter(({ assertion }) => assertion === 'sourceTotals')
  const cost = { assertion: 'sourceTotals', name: 'cost', success: true, expected: '10.25', actual: '10.25' }
  const clicks = { assertion: 'sourceTotals', name: 'clicks', success: false, actual: '3' }
  const both = (severity: string) => [cost, clicks].map(one => ({ ...one, severity }))
  t.strictSame(told('hold', 'SOURCE_DIVERGED'), both('error'))
  t.strictSame(told('warn', null), both('warn'))
  t.strictSame(told('hold', null, true), both('warn'))
})

t.test('numbers that JSON does not carry exactly are left out, and so are days and instants', async t => {
  const totals = (clicks: string, cost: string) => ({ totals: { clicks, cost } })
  const summary = {
    ...summaryOf(claim, { days: [day('2026-03-01', 1, totals('3', '0.1')), day('2026-03-02', 1, totals('4', '0.2'))] }),
    columns: {
      date: { minimum: '2026-03-01', maximum: '2026-03-02' },
      at: { minimum: '2026-03-01T00:00:00.000000Z', maximum: '2026-03-01T00:00:00.000000Z' },
      id: { minimum: '-9007199254740993', maximum: '12' },
      rate: { nulls: 2, minimum: '0.30000000000000004', maximum: '1e+300' },
      kind: { values: { A: 1, B: 2 } },
      nothing: {},
    },
  }
  t.match(metricsOf(summary), { rowCount: summary.rows.staged })
  t.strictSame(Object(metricsOf(summary)).columnMetrics, {
    id: { max: 12 },
    rate: { nullCount: 2, min: 0.30000000000000004, max: 1e300 },
    kind: { distinctCount: 2 },
    clicks: { sum: 7 },
    cost: { sum: 0.3 },
  })
})
