import fc from 'fast-check'
import t from 'tap'
import { addDays, daysOf } from '../../lib/chunk.ts'
import type { AnyRow } from '../../lib/row.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { ad, ads, adsRows, calling, child, execute, prepared, query, stage, TOTALS } from './kit.ts'

t.test('a commit replaces its client and window, and nothing else', async t => {
  const { warehouse, path } = await prepared(t, ads)
  for (const client of ['a', 'b']) {
    const rows = ['2026-01-01', '2026-01-02', '2026-01-03'].map(day => ad(client, day, 'old'))
    await warehouse.commit(
      ads,
      TOTALS,
      [await stage(warehouse, ads, { client, from: '2026-01-01', to: '2026-01-03', rows })],
      calling(),
    )
  }
  const rows = [ad('a', '2026-01-02', 'new', 7, '0.25'), ad('a', '2026-01-02', 'newer', 1, '0.1')]
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-02', rows })
  const [publication] = await warehouse.commit(ads, TOTALS, [member], calling())
  t.same(publication, {
    attemptId: member.attemptId,
    outcome: 'published',
    deleted: 1,
    inserted: 2,
    present: [{ client: 'a', day: '2026-01-02', rows: 2, totals: { clicks: '8', cost: '0.350000000' } }],
    changes: [],
  })
  t.same(await adsRows(path), [
    'a 2026-01-01 old 1 0.500000000',
    'a 2026-01-02 new 7 0.250000000',
    'a 2026-01-02 newer 1 0.100000000',
    'a 2026-01-03 old 1 0.500000000',
    'b 2026-01-01 old 1 0.500000000',
    'b 2026-01-02 old 1 0.500000000',
    'b 2026-01-03 old 1 0.500000000',
  ])
})

t.test('a window that became empty is empty afterwards', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const window = { client: 'a', from: '2026-01-01', to: '2026-01-02' }
  const rows = [ad('a', '2026-01-01', 'x'), ad('a', '2026-01-02', 'x')]
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, { ...window, rows })], calling())
  const [publication] = await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, window)], calling())
  t.match(publication, { outcome: 'published', deleted: 2, inserted: 0, present: [] })
  t.same(await adsRows(path), [])
})

t.test('the same commit a second time leaves the same table', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
  const [first] = await warehouse.commit(ads, TOTALS, [member], calling())
  const before = await adsRows(path)
  const [second] = await warehouse.commit(ads, TOTALS, [member], calling())
  t.same(await adsRows(path), before)
  t.same({ ...second, deleted: 0 }, first)
})

t.test('what is staged is invisible until it is committed', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
  t.same(await warehouse.recount(ads, TOTALS, ['a'], calling()), [])
  t.same(await warehouse.clients(ads, calling()), [])
  await warehouse.commit(ads, TOTALS, [member], calling())
  t.equal((await adsRows(path)).length, 1)
})

t.test('many clients are published together', async t => {
  const { warehouse } = await prepared(t, ads)
  const clients = Array.from({ length: 60 }, (_, index) => `client ${String(index).padStart(2, '0')}`)
  const members = []
  for (const [index, client] of clients.entries()) {
    const rows = daysOf({ from: '2026-01-01', to: '2026-01-03' }).flatMap(day =>
      Array.from({ length: index }, (_, n) => ad(client, day, `n${n}`)),
    )
    members.push(await stage(warehouse, ads, { client, from: '2026-01-01', to: '2026-01-03', rows }))
  }
  const publications = await warehouse.commit(ads, TOTALS, members, calling())
  t.same(
    publications.map(({ inserted }) => inserted),
    clients.map((_, index) => 3 * index),
  )
  t.same(await warehouse.clients(ads, calling()), clients.slice(1))
  const counts = await warehouse.recount(ads, TOTALS, clients.slice(0, 3), calling())
  t.same(
    counts.map(({ client, day, rows, totals }) => `${client} ${day} ${rows} ${totals.clicks} ${totals.cost}`),
    [1, 2].flatMap(rows =>
      daysOf({ from: '2026-01-01', to: '2026-01-03' }).map(
        day => `client 0${rows} ${day} ${rows} ${rows} ${(rows / 2).toFixed(9)}`,
      ),
    ),
  )
})

/** Names that mean trouble where SQL is written by hand, or where text is compared loosely. */
const CLIENTS = [
  'a',
  'A',
  'a ',
  ' a',
  'á',
  "o'brien",
  "'); DROP TABLE ads.daily; --",
  'a\nb',
  '%',
  '_',
  '"',
  '\\',
  'x'.repeat(10_000),
  '',
]

t.test('a client is exactly its name', async t => {
  const { warehouse } = await prepared(t, ads)
  const members = []
  for (const [index, client] of CLIENTS.entries()) {
    const rows = [ad(client, '2026-01-01', 'x', index)]
    members.push(await stage(warehouse, ads, { client, from: '2026-01-01', rows, rejects: [] }))
  }
  await warehouse.commit(ads, TOTALS, members, calling())
  t.same(await warehouse.clients(ads, calling()), [...CLIENTS].sort())
  for (const [index, client] of CLIENTS.entries()) {
    const [count] = await warehouse.recount(ads, TOTALS, [client], calling())
    t.match(count, { client, rows: 1, totals: { clicks: String(index) } }, JSON.stringify(client).slice(0, 40))
  }
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, { client: 'a', from: '2026-01-01' })], calling())
  t.same(await warehouse.clients(ads, calling()), CLIENTS.filter(client => client !== 'a').sort())
})

const chunks = fc.record({
  client: fc.constantFrom('a', 'A', "a'", 'a '),
  first: fc.nat(9),
  length: fc.integer({ min: 1, max: 5 }),
  rowsPerDay: fc.array(fc.nat(3), { minLength: 5, maxLength: 5 }),
})

t.test('whatever is committed, the table is what a simple model says', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(chunks, { selector: ({ client }) => client, minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 5,
      }),
      async commits => {
        const { warehouse, path } = await prepared(t, ads)
        const model = new Map<string, AnyRow[]>()
        let version = 0
        for (const group of commits) {
          version++
          const members = []
          for (const { client, first, length, rowsPerDay } of group) {
            const window = { from: addDays('2026-01-01', first), to: addDays('2026-01-01', first + length - 1) }
            const rows: AnyRow[] = []
            for (const [index, day] of daysOf(window).entries()) {
              const fresh = Array.from({ length: rowsPerDay[index] ?? 0 }, (_, n) => ad(client, day, `n${n}`, version))
              model.set(`${client} ${day}`, fresh)
              rows.push(...fresh)
            }
            members.push(await stage(warehouse, ads, { client, ...window, rows }))
          }
          await warehouse.commit(ads, TOTALS, members, calling())
        }
        t.same(
          (await adsRows(path)).sort(),
          [...model.values()]
            .flat()
            .map(row => `${row.client_id} ${row.date} ${row.name} ${row.clicks} 0.500000000`)
            .sort(),
        )
      },
    ),
    { numRuns: 8 },
  )
})

t.test('tables of other programs in the same file are left alone, whatever they are called', async t => {
  const { warehouse, path } = await prepared(t, ads)
  await execute(
    path,
    ...['slice', 'publishing', 'restated', 'restated_before'].map(name => `CREATE TABLE ${name} AS SELECT 1 AS x`),
  )
  const draft = { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] }
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, draft)], calling())
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, { ...draft, restated: ['2026-01-01'] })], calling())
  for (const name of ['slice', 'publishing', 'restated', 'restated_before']) {
    t.same(await query(path, `SELECT * FROM main.${name}`), [{ x: 1 }])
  }
})

t.test('two tables of one file are fenced apart', async t => {
  const other = { ...ads, name: 'ads.other' }
  const { warehouse, path } = await prepared(t, ads, other)
  const draft = { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')], totals: [] }
  await warehouse.commit(ads, [], [await stage(warehouse, ads, { ...draft, generation: 9 })], calling())
  await warehouse.commit(other, [], [await stage(warehouse, other, { ...draft, generation: 1 })], calling())
  t.equal((await query(path, 'SELECT * FROM ads.other')).length, 1)
})

t.test('another process sees all of a group or nothing of it', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const writer = child(t, 'child.ts', 'publish', path, '200')
  await writer.lines.next()
  for (let look = 0; look < 12; look++) {
    const [a, b, ...more] = await warehouse.recount(ads, TOTALS, ['a', 'b'], calling())
    t.same(more, [])
    t.same({ ...a, client: '' }, { ...b, client: '' })
    const version = (a?.rows ?? 0) - 200
    t.equal(a?.totals.clicks, String(version * (200 + version)))
  }
})

t.test('a second object on the same file finds what the first one published', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
  await warehouse.commit(ads, TOTALS, [member], calling())
  t.same(await duckdb({ path }).clients(ads, calling()), ['a'])
})
