import t from 'tap'
import { reconcile } from '../../lib/steps/reconcile.ts'
import { type DayCount, divergence, type Member, type Publication } from '../../lib/warehouse/warehouse.ts'

const days = [
  { day: '2026-01-01', rows: 2, rejected: 0, fingerprint: '', totals: { clicks: '5', cost: '0.30' } },
  { day: '2026-01-02', rows: 0, rejected: 1, fingerprint: '', totals: { clicks: '0', cost: '0' } },
]

const member: Member = {
  chunk: { pipeline: 'p', client: 'a', window: { from: '2026-01-01', to: '2026-01-02' } },
  attemptId: 'attempt',
  receipt: '',
  generation: 1,
  intent: 'publish',
  days,
  restated: [],
  checkKey: false,
}

const right: DayCount = { client: 'a', day: '2026-01-01', rows: 2, totals: { clicks: '5', cost: '0.300000000' } }

function after(present: readonly DayCount[]): Publication {
  return { attemptId: 'attempt', outcome: 'published', deleted: 0, inserted: 2, present, changes: [] }
}

t.test('a table that holds what was committed is right, however its decimals are written', async t => {
  t.doesNotThrow(() => reconcile(member, after([right])))
})

t.test('an empty day has no count, or one of zero', async t => {
  t.same(divergence(member, [right, { client: 'a', day: '2026-01-02', rows: 0, totals: { clicks: '0', cost: '0' } }]), [])
})

t.test('other rows, other totals and missing totals are named', async t => {
  for (const [present, wanted] of [
    [[], '2026-01-01: 2 rows expected, 0 found'],
    [[{ ...right, rows: 3 }], '2026-01-01: 2 rows expected, 3 found'],
    [[{ ...right, totals: { clicks: '6', cost: '0.3' } }], '2026-01-01: sum of clicks 5 expected, 6 found'],
    [[{ ...right, totals: { clicks: '5', cost: '0.300000001' } }], '2026-01-01: sum of cost 0.30 expected, 0.300000001 found'],
    [[{ ...right, totals: { clicks: '5' } }], '2026-01-01: sum of cost 0.30 expected, undefined found'],
    [[right, { ...right, day: '2026-01-02', rows: 1 }], '2026-01-02: 0 rows expected, 1 found'],
    [[{ ...right, client: 'A' }], '2026-01-01: 2 rows expected, 0 found'],
  ] as const) {
    t.throws(() => reconcile(member, after(present)), {
      code: 'RECONCILE_DIVERGED',
      message: `p/a/2026-01-01..2026-01-02: ${wanted}`,
    })
  }
})

t.test('every number of a day that differs is named, and five at most in the message', async t => {
  t.same(divergence(member, [{ ...right, totals: { clicks: '6', cost: '1' } }]), [
    '2026-01-01: sum of clicks 5 expected, 6 found',
    '2026-01-01: sum of cost 0.30 expected, 1 found',
  ])
  const many = Array.from({ length: 9 }, (_, index) => ({
    day: `2026-01-0${index + 1}`,
    rows: 1,
    rejected: 0,
    fingerprint: '',
    totals: {},
  }))
  try {
    reconcile({ ...member, days: many }, after([]))
    t.fail('it must throw')
  } catch (error) {
    t.equal(String(error).split(';').length, 5)
  }
})
