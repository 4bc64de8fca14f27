import { deepEqual, equal, partialDeepStrictEqual, rejects } from 'node:assert/strict'
import type { Drift } from '../attempt/drift.ts'
import { begin, claimOf, type LedgerCase, ledgerCase, PROBLEM, publish, stage, summaryOf } from './ledger-case.ts'

const DRIFT: Drift = { change: 'type_changed', path: 'n', value: 'string', count: 3, records: 10, before: 'number' }

/** What a chunk of ten records showed. */
const SHOWN = {
  fields: ['n', 'unread'],
  reads: [
    { path: 'n', types: { number: 7, string: 3 } },
    { path: '__proto__', types: { absent: 4, boolean: 6 } },
  ],
  drifts: [DRIFT, { ...DRIFT, change: 'value_added', path: 'kind', value: '"z"' }],
} as const

/** What is known of records, and what was different in them. */
export const SHAPE_CASES: readonly LedgerCase[] = [
  ledgerCase('the shape of what was published is known to all clients, but for what each of them has', async ({ ledger }) => {
    const run = await begin(ledger)
    await publish(ledger, await claimOf(ledger, await begin(ledger, { window: { from: '2025-01-01', to: '2025-01-01' } })))
    const before = await ledger.knownShape('p', 'a')
    deepEqual(before, { fields: undefined, types: new Map(), values: new Map(), presence: new Map() })
    await publish(ledger, await claimOf(ledger, run), SHOWN)
    const known = await ledger.knownShape('p', 'a')
    deepEqual(known.fields, new Set(['n', 'unread']))
    deepEqual(
      known.types,
      new Map([
        ['n', new Set(['number', 'string'])],
        ['__proto__', new Set(['boolean'])],
      ]),
    )
    deepEqual(known.values, new Map([['kind', new Set(['"z"'])]]))
    deepEqual(
      known.presence,
      new Map([
        ['n', { records: 10, present: 10 }],
        ['__proto__', { records: 10, present: 6 }],
      ]),
    )
    deepEqual(await ledger.knownShape('p', 'b'), { ...known, presence: new Map() })
    deepEqual(await ledger.knownShape('q', 'a'), before)

    const again = await claimOf(ledger, run)
    await stage(ledger, again)
    await ledger.unchanged(again.attemptId, summaryOf(again, { ...SHOWN, fields: ['later'] }))
    const later = await ledger.knownShape('p', 'a')
    deepEqual(later.fields, new Set(['later', 'n', 'unread']))
    deepEqual(later.presence.get('n'), { records: 20, present: 20 })
    await publish(ledger, await claimOf(ledger, run), { fields: [], reads: [{ path: 'n', types: {} }] })
    deepEqual(await ledger.knownShape('p', 'a'), later, 'no records say nothing')
  }),
  ledgerCase('an attempt that did not publish teaches nothing, and its drifts are remembered', async ({ ledger, clock }) => {
    const run = await begin(ledger)
    const claim = await claimOf(ledger, run)
    await ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(claim, SHOWN))
    equal((await ledger.knownShape('p', 'a')).fields, undefined)
    const first = { client: 'a', window: claim.chunk.window, runId: run.id, at: clock.now }
    const [kind, n] = [SHOWN.drifts[1], DRIFT].map(drift => ({ ...drift, first, lastAt: clock.now, clients: 1 }))
    deepEqual(await ledger.drifts('p', 10), [n, kind])
    deepEqual(await ledger.drifts('p', 1), [n])
    deepEqual(await ledger.drifts('q', 10), [])
  }),
  ledgerCase(
    'a drift is remembered once for each client, with the chunk that showed it first',
    async ({ ledger, clock, sql }) => {
      const run = await begin(ledger, { clients: ['a', 'b'] })
      const first = clock.now
      for (let turn = 0; turn < 4; turn++) {
        const claim = await claimOf(ledger, run)
        const drifts = [{ ...DRIFT, count: turn }, ...(turn === 0 ? [{ ...DRIFT, path: 'once' }] : [])]
        const summary = summaryOf(claim, { drifts })
        await ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summary)
        clock.now += 1_000
      }
      deepEqual(await sql('SELECT client, path, count FROM drift ORDER BY client, path'), [
        { client: 'a', path: 'n', count: '0' },
        { client: 'a', path: 'once', count: String(DRIFT.count) },
        { client: 'b', path: 'n', count: '1' },
      ])
      partialDeepStrictEqual(await ledger.drifts('p', 10), [
        { path: 'n', count: 0, first: { client: 'a', at: first }, lastAt: first + 3_000, clients: 2 },
        { path: 'once', first: { client: 'a', at: first }, lastAt: first, clients: 1 },
      ])
    },
  ),
  ledgerCase('an attempt that lost its chunk writes no drift', async ({ ledger }) => {
    const claim = await claimOf(ledger, await begin(ledger))
    await publish(ledger, claim)
    await rejects(ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(claim, SHOWN)), {
      code: 'LEASE_LOST',
    })
    deepEqual(await ledger.drifts('p', 10), [])
  }),
]
