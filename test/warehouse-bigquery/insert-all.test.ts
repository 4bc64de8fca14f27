import t, { type Test } from 'tap'
import { siftRows } from '../../lib/steps/sift.ts'
import { openDraft, stageDraft, undisturbed } from '../../lib/testing/stage.ts'
import type { BigQueryOptions } from '../../lib/warehouse/bigquery/options.ts'
import type { Member } from '../../lib/warehouse/warehouse.ts'
import type { RequestEffect } from '../servers/bigquery/faults.ts'
import type { Options as ServerOptions } from '../servers/bigquery/server.ts'
import { ad, ads, TOTALS } from '../warehouse/kit.ts'
import { type BigQueryHost, openBigQuery } from './hosts.ts'

const DAY = '2026-01-01'

async function open(t: Test, server: ServerOptions = {}, options: BigQueryOptions = {}): Promise<BigQueryHost> {
  const host = await openBigQuery({ staging: 'insert-all', ...options }, server)
  t.teardown(() => host.close())
  await host.warehouse.prepare(ads, { create: true }, undisturbed)
  return host
}

function staged({ warehouse }: BigQueryHost, count: number): Promise<Member> {
  const rows = Array.from({ length: count }, (_, index) => ad('a', DAY, `n${index}`))
  return stageDraft(warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows })
}

async function commits(t: Test, host: BigQueryHost, member: Member, rows: number): Promise<void> {
  t.match(await host.warehouse.commit(ads, TOTALS, [member], undisturbed), [{ outcome: 'published', inserted: rows }])
  t.equal((await host.rows(ads)).length, rows)
}

const EFFECTS: readonly (readonly [string, RequestEffect])[] = [
  ['is cut off', { kind: 'reset' }],
  ['is cut off after it was done', { kind: 'reset', after: true }],
  ['is answered with 503 after it was done', { kind: 'error', reason: 'backendError', status: 503, after: true }],
  ['is refused for its rate', { kind: 'error', reason: 'rateLimitExceeded' }],
  ['is answered by half', { kind: 'truncate' }],
  ['is answered by a proxy', { kind: 'proxy', status: 502 }],
]

for (const [what, effect] of EFFECTS) {
  t.test(`when an insertAll ${what}, every row is there once, whether or not the service drops what came twice`, async t => {
    const host = await open(t, { switches: { dedupe: false } })
    const armed = host.server.faults.add({ on: 'tabledata.insertAll', effect, skip: 1 })
    const member = await staged(host, 1_200)
    t.equal(armed.fired, 1)
    await commits(t, host, member, 1_200)
    t.ok(host.server.log.every(({ rows }) => rows <= 500))
  })
}

t.test('rows that are refused are named, and can be taken out of those that were stored', async t => {
  const host = await open(t)
  const effect: RequestEffect = { kind: 'rows', indexes: [2, 4], reason: 'invalid', message: 'no such thing' }
  host.server.faults.add({ on: 'tabledata.insertAll', effect, skip: 1 })
  const rows = Array.from({ length: 600 }, (_, index) => ad('a', DAY, `n${index}`, index))
  const draft = await openDraft(host.warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows })
  await t.rejects(draft.seal(), {
    code: 'STAGED_UNREADABLE',
    message: /refuses 2 of 600 rows: row 503 \(no such thing\); row 505 \(no such thing\)/,
  })
  t.same(await host.rows(ads), [])
  const rejects = await siftRows(draft.target, undisturbed)
  t.match(rejects, [
    { column: null, record: { name: 'n502' }, reason: 'is refused by BigQuery: no such thing' },
    { record: { name: 'n504' } },
  ])
  await draft.seal()
  await commits(t, host, draft.member(), 598)
})

for (const reason of ['stopped', 'timeout', 'backendError'] as const) {
  t.test(`rows that are not stored because of others are sent again (${reason})`, async t => {
    const host = await open(t)
    const effect: RequestEffect = { kind: 'rows', indexes: [0, 3, 4], reason, message: '' }
    const armed = host.server.faults.add({ on: 'tabledata.insertAll', effect })
    await commits(t, host, await staged(host, 10), 10)
    t.equal(armed.fired, 1)
    t.same(
      host.server.log.flatMap(({ kind, rows }) => (kind === 'tabledata.insertAll' ? [rows] : [])),
      [10, 3],
    )
  })
}

t.test('rows that are never stored, for no fault of theirs, are no rejects', async t => {
  const host = await open(t, {}, { tries: 3 })
  const effect: RequestEffect = { kind: 'rows', indexes: [0], reason: 'stopped', message: '' }
  host.server.faults.add({ on: 'tabledata.insertAll', effect, times: 100 })
  await t.rejects(staged(host, 10), { code: 'WAREHOUSE_FAILED', message: /1 of 10 rows were not stored \(stopped\)/ })
  t.equal(host.server.log.filter(({ kind }) => kind === 'tabledata.insertAll').length, 3)
})

t.test('rows of days that BigQuery does not stream are refused by it, and the others published', async t => {
  const host = await open(t, { switches: { refuses: ({ name }) => (name === 'n3' ? 'too old' : undefined) } })
  const rows = Array.from({ length: 6 }, (_, index) => ad('a', DAY, `n${index}`))
  const draft = await openDraft(host.warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows })
  await t.rejects(draft.seal(), { code: 'STAGED_UNREADABLE', message: /refuses 1 of 6 rows: row 4 \(too old\)/ })
  t.match(await siftRows(draft.target, undisturbed), [{ value: null, record: { name: 'n3' } }])
  await draft.seal()
  await commits(t, host, draft.member(), 5)
})

t.test('rows that were acknowledged and lost are noticed before the commit', async t => {
  const host = await open(t)
  host.server.faults.add({ on: 'tabledata.insertAll', effect: { kind: 'lose-rows' } })
  await t.rejects(staged(host, 3), { code: 'WAREHOUSE_FAILED', message: /3 rows streamed, 0 arrived/ })
  await commits(t, host, await staged(host, 2), 2)
})

t.test('a table that is new loses rows for a while, and then no more', async t => {
  const host = await open(t, { switches: { freshTableLosesRowsMs: 600_000 } })
  await t.rejects(staged(host, 3), { code: 'WAREHOUSE_FAILED', hint: /table that is new/ })
  host.server.clock.advance(600_001)
  await commits(t, host, await staged(host, 3), 3)
})

t.test('the tables that rows are streamed into outlive their dataset, the rows do not', async t => {
  const host = await open(t)
  const created = host.server.log.filter(({ kind, body }) => kind === 'tables.insert' && JSON.stringify(body).includes('stream_'))
  t.equal(created.length, 2)
  for (const { body } of created) {
    t.match(body, { timePartitioning: { field: 'headrace_at', expirationMs: '172800000' }, requirePartitionFilter: true })
    const { expirationTime }: { expirationTime?: unknown } = Object(body)
    t.ok(Number(expirationTime) > Date.now() + 365 * 86_400_000)
  }
  t.equal(await host.warehouse.prepare(ads, { create: true }, undisturbed), true)
})
