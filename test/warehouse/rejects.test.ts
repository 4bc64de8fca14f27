import t from 'tap'
import type { Draft } from '../../lib/testing/stage.ts'
import type { RejectQuery } from '../../lib/warehouse/warehouse.ts'
import { ad, ads, adsRows, calling, execute, prepared, reject, stage, TOTALS } from './kit.ts'

const DAY = '2026-01-01'

async function setUp(t: Parameters<typeof prepared>[0]) {
  const { warehouse, path } = await prepared(t, ads)
  return {
    path,
    warehouse,
    commit: async (draft: Draft) => {
      const [publication] = await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, draft)], calling())
      return publication
    },
    kept: async (query: Partial<RejectQuery> = {}) =>
      (await warehouse.rejects(ads, { limit: 100, ...query }, calling())).map(
        ({ client, day, record, held }) => `${client} ${day} ${record}${held ? ' held' : ''}`,
      ),
  }
}

t.test('rejects are kept with their slice, and replaced with it and only there', async t => {
  const { commit, kept } = await setUp(t)
  for (const client of ['a', 'b']) {
    const rejects = [reject(DAY, { n: 1 }), reject('2026-01-02', { n: 2 })]
    await commit({ client, from: DAY, to: '2026-01-02', rejects })
  }
  await commit({ client: 'a', from: '2026-01-02', rejects: [reject('2026-01-02', { n: 3 }), reject('2026-01-02', { n: 4 })] })
  t.same(await kept(), [
    'a 2026-01-02 {"n":3}',
    'a 2026-01-02 {"n":4}',
    'b 2026-01-02 {"n":2}',
    'a 2026-01-01 {"n":1}',
    'b 2026-01-01 {"n":1}',
  ])
  await commit({ client: 'a', from: DAY, to: '2026-01-02' })
  t.same(await kept(), ['b 2026-01-02 {"n":2}', 'b 2026-01-01 {"n":1}'])
})

t.test('rejects are read by client, by window and up to a limit, newest day first', async t => {
  const { commit, kept } = await setUp(t)
  for (const client of ["o'brien", 'b']) {
    const rejects = [reject(DAY, 1), reject('2026-01-02', 2), reject('2026-01-03', 3)]
    await commit({ client, from: DAY, to: '2026-01-03', rejects })
  }
  t.same(await kept({ clients: ["o'brien"], window: { from: DAY, to: '2026-01-02' } }), [
    "o'brien 2026-01-02 2",
    "o'brien 2026-01-01 1",
  ])
  t.same(await kept({ limit: 1 }), ['b 2026-01-03 3'])
  t.same(await kept({ clients: ['nobody'] }), [])
})

t.test('a reject keeps everything that was said about it', async t => {
  const { warehouse } = await setUp(t)
  const record = { text: 'ünï "quoted"\n,\0\u2028', big: 1e300, deep: [[[{}]]] }
  const odd = { column: null, rule: 'record', value: null, reason: 'is "odd",\nvery', day: null, record } as const
  const member = await stage(warehouse, ads, { client: 'a', from: DAY, rejects: [odd, reject(DAY, 'x'.repeat(2_000_000))] })
  await warehouse.commit(ads, TOTALS, [member], calling())
  const [first, second] = await warehouse.rejects(ads, { limit: 9 }, calling())
  t.match(first, { column: null, rule: 'record', value: null, reason: odd.reason, day: DAY, attemptId: member.attemptId })
  t.same(JSON.parse(first?.record ?? ''), record)
  t.equal(second?.record.length, 2_000_002)
  t.match(first?.rejectedAt, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  t.ok(Math.abs(Date.parse(first?.rejectedAt ?? '') - Date.now()) < 600_000)
})

t.test('rejects of a held chunk are kept without its rows, and marked', async t => {
  const { commit, kept, path } = await setUp(t)
  await commit({ client: 'a', from: DAY, rows: [ad('a', DAY, 'x')], rejects: [reject(DAY, { was: 1 })] })
  const rejects = [reject(DAY, { n: 1 })]
  const publication = await commit({ client: 'a', from: DAY, rows: [ad('a', DAY, 'y')], rejects, intent: 'rejects' })
  t.match(publication, { outcome: 'rejects', deleted: 0, inserted: 0 })
  t.same(await kept(), ['a 2026-01-01 {"n":1} held'])
  t.same(await adsRows(path), ['a 2026-01-01 x 1 0.500000000'])
})

t.test('a table that already holds what is expected is confirmed and not written', async t => {
  const { commit, kept, path } = await setUp(t)
  const draft = { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')], rejects: [reject(DAY, { n: 1 })] }
  await commit(draft)
  await execute(path, "UPDATE ads.daily SET note = 'not written again'")
  t.match(await commit({ ...draft, intent: 'confirm' }), {
    outcome: 'unchanged',
    deleted: 0,
    inserted: 0,
    present: [{ client: 'a', day: DAY, rows: 1, totals: { clicks: '1', cost: '0.500000000' } }],
  })
  t.same(await kept(), ['a 2026-01-01 {"n":1}'])
})

t.test('a confirmed chunk takes back the rejects of one that was held in between', async t => {
  const { commit, kept } = await setUp(t)
  const draft = { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')], rejects: [reject(DAY, { n: 1 })] }
  await commit(draft)
  await commit({ ...draft, rejects: [reject(DAY, { n: 2 }), reject(DAY, { n: 3 })], intent: 'rejects' })
  t.match(await commit({ ...draft, intent: 'confirm' }), { outcome: 'unchanged' })
  t.same(await kept(), ['a 2026-01-01 {"n":1}'])
})

for (const [what, change] of [
  ['rows', 'DELETE FROM ads.daily'],
  ['a total', 'UPDATE ads.daily SET cost = cost + 0.000000001'],
] as const) {
  t.test(`a table that holds other ${what} than expected is written again`, async t => {
    const { commit, path } = await setUp(t)
    const draft = { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')] }
    await commit(draft)
    await execute(path, change)
    t.match(await commit({ ...draft, intent: 'confirm' }), { outcome: 'published', inserted: 1 })
    t.same(await adsRows(path), ['a 2026-01-01 x 1 0.500000000'])
  })
}

t.test('a changed day says how many rows are new and how many are gone', async t => {
  const { commit } = await setUp(t)
  const rows = [ad('a', DAY, 'same'), ad('a', DAY, 'other', 1), ad('a', DAY, 'gone'), ad('a', '2026-01-02', 'x')]
  await commit({ client: 'a', from: DAY, to: '2026-01-03', rows })
  const publication = await commit({
    client: 'a',
    from: DAY,
    to: '2026-01-03',
    rows: [
      ad('a', DAY, 'same'),
      ad('a', DAY, 'other', 2),
      ad('a', DAY, 'new 1'),
      ad('a', DAY, 'new 2'),
      ad('a', '2026-01-02', 'y'),
    ],
    restated: [DAY, '2026-01-03'],
  })
  t.same(publication?.changes, [
    { day: DAY, added: 3, removed: 2 },
    { day: '2026-01-03', added: 0, removed: 0 },
  ])
})

t.test('equal rows are counted one by one, and null equals null', async t => {
  const { commit } = await setUp(t)
  const draft = { client: 'a', from: DAY, restated: [DAY] }
  await commit({ ...draft, rows: [ad('a', DAY, 'x'), ad('a', DAY, 'x'), ad('a', DAY, 'x')], restated: [] })
  t.same((await commit({ ...draft, rows: [ad('a', DAY, 'x')] }))?.changes, [{ day: DAY, added: 0, removed: 2 }])
  t.same((await commit({ ...draft, rows: [ad('a', DAY, 'x', 1, '0.5', 'note')] }))?.changes, [{ day: DAY, added: 1, removed: 1 }])
})

t.test('the changes of a group are told apart by client', async t => {
  const { warehouse } = await setUp(t)
  const round = async (clicks: number, restated: string[]) => {
    const members = []
    for (const client of ['a', 'A', 'a ']) {
      const rows = [ad(client, DAY, 'x', client === 'A' ? 1 : clicks)]
      members.push(await stage(warehouse, ads, { client, from: DAY, rows, restated: client === 'a ' ? [] : restated }))
    }
    return (await warehouse.commit(ads, TOTALS, members, calling())).map(({ changes }) => changes)
  }
  t.same(await round(1, []), [[], [], []])
  t.same(await round(2, [DAY]), [[{ day: DAY, added: 1, removed: 1 }], [{ day: DAY, added: 0, removed: 0 }], []])
})
