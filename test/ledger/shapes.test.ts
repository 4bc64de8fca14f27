import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { Drift } from '../../lib/drift.ts'
import { MIGRATIONS } from '../../lib/ledger/sql/schema.ts'
import { begin, claimOf, folder, fresh, PROBLEM, publish, sql, summaryOf } from './kit.ts'

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

t.test('the shape of what was published is known to all clients, but for what each of them has', async t => {
  const { ledger } = fresh(t)
  const run = await begin(ledger)
  await publish(ledger, await claimOf(ledger, await begin(ledger, { window: { from: '2025-01-01', to: '2025-01-01' } })))
  const before = await ledger.knownShape('p', 'a')
  t.same(before, { fields: undefined, types: new Map(), values: new Map(), presence: new Map() })
  await publish(ledger, await claimOf(ledger, run), SHOWN)
  const known = await ledger.knownShape('p', 'a')
  t.same(known.fields, new Set(['n', 'unread']))
  t.same(
    known.types,
    new Map([
      ['n', new Set(['number', 'string'])],
      ['__proto__', new Set(['boolean'])],
    ]),
  )
  t.same(known.values, new Map([['kind', new Set(['"z"'])]]))
  t.same(
    known.presence,
    new Map([
      ['n', { records: 10, present: 10 }],
      ['__proto__', { records: 10, present: 6 }],
    ]),
  )
  t.same(await ledger.knownShape('p', 'b'), { ...known, presence: new Map() })
  t.same(await ledger.knownShape('q', 'a'), before)

  const again = await claimOf(ledger, run)
  await ledger.staged(again.attemptId, summaryOf(again))
  await ledger.unchanged(again.attemptId, summaryOf(again, { ...SHOWN, fields: ['later'] }))
  const later = await ledger.knownShape('p', 'a')
  t.same(later.fields, new Set(['later', 'n', 'unread']))
  t.same(later.presence.get('n'), { records: 20, present: 20 })
  await publish(ledger, await claimOf(ledger, run), { fields: [], reads: [{ path: 'n', types: {} }] })
  t.same(await ledger.knownShape('p', 'a'), later, 'no records say nothing')
})

t.test('an attempt that did not publish teaches nothing, and its drifts are remembered', async t => {
  const { ledger, clock } = fresh(t)
  const run = await begin(ledger)
  const claim = await claimOf(ledger, run)
  await ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(claim, SHOWN))
  t.equal((await ledger.knownShape('p', 'a')).fields, undefined)
  const first = { client: 'a', window: claim.chunk.window, runId: run.id, at: clock.now }
  const [kind, n] = [SHOWN.drifts[1], DRIFT].map(drift => ({ ...drift, first, lastAt: clock.now, clients: 1 }))
  t.same(await ledger.drifts('p', 10), [n, kind])
  t.same(await ledger.drifts('p', 1), [n])
  t.same(await ledger.drifts('q', 10), [])
})

t.test('a drift is remembered once for each client, with the chunk that showed it first', async t => {
  const { ledger, clock, path } = fresh(t)
  const run = await begin(ledger, { clients: ['a', 'b'] })
  const first = clock.now
  for (let turn = 0; turn < 4; turn++) {
    const claim = await claimOf(ledger, run)
    const drifts = [{ ...DRIFT, count: turn }, ...(turn === 0 ? [{ ...DRIFT, path: 'once' }] : [])]
    const summary = summaryOf(claim, { drifts })
    await ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summary)
    clock.now += 1_000
  }
  t.same(sql(path, 'SELECT client, path, count FROM drift ORDER BY client, path'), [
    { client: 'a', path: 'n', count: 0 },
    { client: 'a', path: 'once', count: 0 + DRIFT.count },
    { client: 'b', path: 'n', count: 1 },
  ])
  t.match(await ledger.drifts('p', 10), [
    { path: 'n', count: 0, first: { client: 'a', at: first }, lastAt: first + 3_000, clients: 2 },
    { path: 'once', first: { client: 'a', at: first }, lastAt: first, clients: 1 },
  ])
})

t.test('an attempt that lost its chunk writes no drift', async t => {
  const { ledger } = fresh(t)
  const claim = await claimOf(ledger, await begin(ledger))
  await publish(ledger, claim)
  await t.rejects(ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: true }, summaryOf(claim, SHOWN)), {
    code: 'LEASE_LOST',
  })
  t.same(await ledger.drifts('p', 10), [])
})

t.test('a ledger from before drifts were remembered keeps the fields it knew', async t => {
  const path = join(folder(t), 'ledger.sqlite')
  const old = new DatabaseSync(path)
  old.exec(MIGRATIONS[0] ?? '')
  old.exec(`INSERT INTO shape VALUES ('p', '["a.x","b"]', 1); PRAGMA user_version = 1`)
  old.close()
  const { ledger } = fresh(t, { path })
  t.same((await ledger.knownShape('p', 'a')).fields, new Set(['a.x', 'b']))
  await publish(ledger, await claimOf(ledger, await begin(ledger)), SHOWN)
  const { fields, types } = await ledger.knownShape('p', 'a')
  t.same(fields, new Set(['a.x', 'b', 'n', 'unread']))
  t.same(types.get('n'), new Set(['number', 'string']))
  t.equal((await ledger.drifts('p', 10)).length, 2)
})
