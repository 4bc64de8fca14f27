import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Draft } from '../../lib/testing/stage.ts'
import { GroupRefused, type Member, type Warehouse } from '../../lib/warehouse/warehouse.ts'
import { committing } from '../support/committer.ts'
import { ad, ads, adsRows, calling, execute, prepared, stage, TOTALS } from './kit.ts'

const DAY = '2026-01-01'

const draft = (client: string, more: Partial<Draft> = {}): Draft => ({ client, from: DAY, rows: [ad(client, DAY, 'x')], ...more })

/** The codes and messages of the members that a commit refused, by client. */
async function refusals(warehouse: Warehouse, members: readonly Member[]): Promise<Record<string, string>> {
  const error: unknown = await warehouse.commit(ads, TOTALS, members, calling()).catch(thrown => thrown)
  if (!(error instanceof GroupRefused)) return { '': String(error) }
  return Object.fromEntries(
    members.flatMap(({ attemptId, chunk }) => {
      const refused = error.refused.get(attemptId)
      return refused === undefined ? [] : [[chunk.client, `${refused.code} ${refused.message}`]]
    }),
  )
}

/** What becomes of members that are published through a committer, by client. */
async function published(warehouse: Warehouse, members: readonly Member[]): Promise<Record<string, string>> {
  const publish = committing(warehouse)
  const settled = await Promise.allSettled(members.map(member => publish(ads, TOTALS, member)))
  return Object.fromEntries(
    settled.map((result, index) => [
      members[index]?.chunk.client,
      result.status === 'fulfilled' ? result.value.outcome : result.reason.code,
    ]),
  )
}

/** A group of three of which `b` is at fault: it alone is refused, nothing is published, and a committer then publishes the others. */
async function onlyB(t: Test, warehouse: Warehouse, path: string, members: readonly Member[], wanted: RegExp): Promise<void> {
  const before = await adsRows(path)
  const refused = await refusals(warehouse, members)
  t.same(Object.keys(refused), ['b'])
  t.match(refused.b, wanted)
  t.same(await adsRows(path), before, 'nothing of the group is published')
  const code = /^\w+/.exec(refused.b ?? '')?.[0]
  t.same(await published(warehouse, members), { a: 'published', b: code, c: 'published' })
  t.same(
    (await adsRows(path)).filter(row => !row.startsWith('b')),
    [`a ${DAY} x 1 0.500000000`, `c ${DAY} x 1 0.500000000`],
  )
}

async function three(warehouse: Warehouse, b: Partial<Draft> = {}): Promise<[Member, Member, Member]> {
  return [
    await stage(warehouse, ads, draft('a')),
    await stage(warehouse, ads, draft('b', b)),
    await stage(warehouse, ads, draft('c')),
  ]
}

t.test('a member whose rows are not as many as it expects is refused', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse)
  const wrong = { ...b, days: b.days.map(day => ({ ...day, rows: 2 })) }
  await onlyB(
    t,
    warehouse,
    path,
    [a, wrong, c],
    /^COUNT_DIVERGED conformance\/b\/2026-01-01: 2026-01-01: 2 rows expected, 1 found$/,
  )
})

t.test('a member whose control total is another is refused', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse)
  const wrong = { ...b, days: b.days.map(day => ({ ...day, totals: { ...day.totals, cost: '0.500000001' } })) }
  await onlyB(t, warehouse, path, [a, wrong, c], /^COUNT_DIVERGED .*sum of cost 0\.500000001 expected, 0\.500000000 found$/)
})

t.test('of many wrong days five are named', async t => {
  const { warehouse } = await prepared(t, ads)
  const member = await stage(warehouse, ads, draft('b', { rows: [], to: '2026-01-31' }))
  const wrong = { ...member, days: member.days.map(day => ({ ...day, rows: 1 })) }
  t.match((await refusals(warehouse, [wrong])).b, /2026-01-05: 1 rows expected, 0 found and 26 more of 31 days$/)
})

t.test('a member with rows of another client is refused', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const members = await three(warehouse, { rows: [ad('b', DAY, 'x'), ad('z', DAY, 'z')] })
  await onlyB(t, warehouse, path, members, /^COUNT_DIVERGED .*: 2 rows expected, 1 found$/)
})

t.test('rows outside the window are noticed, and keep nobody else back', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse, { rows: [ad('b', DAY, 'x'), ad('b', '2026-02-01', 'y')] })
  const error: unknown = await warehouse.commit(ads, TOTALS, [a, b, c], calling()).catch(thrown => thrown)
  t.match(error, { code: 'COUNT_DIVERGED', message: /3 rows staged, 4 inserted/ })
  t.same(await published(warehouse, [a, b, c]), { a: 'published', b: 'COUNT_DIVERGED', c: 'published' })
  t.equal((await adsRows(path)).length, 2)
})

for (const [what, harm] of [
  ['gone', (file: string) => rmSync(file)],
  ['cut off', (file: string) => truncateSync(file, 5)],
  ['longer', (file: string) => writeFileSync(file, '"b",2026-01-01,"y",1,1,\n', { flag: 'a' })],
] as const) {
  t.test(`a member whose staged rows are ${what} is refused`, async t => {
    const { warehouse, path } = await prepared(t, ads)
    const [a, b, c] = await three(warehouse)
    harm(`${path}.staging/${b.attemptId}.csv`)
    await onlyB(t, warehouse, path, [a, b, c], /^WAREHOUSE_FAILED conformance\/b\/2026-01-01: what was staged in .* is gone/)
  })
}

t.test('an empty member whose file is gone is refused', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse, { rows: [] })
  rmSync(`${path}.staging/${b.attemptId}.csv`)
  await onlyB(t, warehouse, path, [a, b, c], /^WAREHOUSE_FAILED/)
})

t.test('staged rows that cannot be read keep only their own member back', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse)
  const file = `${path}.staging/${b.attemptId}.csv`
  writeFileSync(file, 'x'.repeat(statSync(file).size))
  const error: unknown = await warehouse.commit(ads, TOTALS, [a, b, c], calling()).catch(thrown => thrown)
  t.match(error, { code: 'STAGED_UNREADABLE', message: /^ads\.daily: / })
  t.same(await adsRows(path), [])
  t.same(await published(warehouse, [a, b, c]), { a: 'published', b: 'STAGED_UNREADABLE', c: 'published' })
})

t.test('an older attempt cannot overwrite a newer one, not even in part', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const newer = draft('b', { from: '2026-01-02', to: '2026-01-03', rows: [ad('b', '2026-01-03', 'new')], generation: 8 })
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, newer)], calling())
  for (const [from, to] of [
    ['2026-01-02', '2026-01-03'],
    ['2026-01-01', '2026-01-02'],
    ['2026-01-03', '2026-01-09'],
    ['2025-12-01', '2026-01-31'],
  ] as const) {
    for (const intent of ['publish', 'confirm', 'rejects'] as const) {
      const late = await stage(warehouse, ads, { client: 'b', from, to, generation: 7, intent })
      t.match(
        (await refusals(warehouse, [late])).b,
        /^FENCED .* is of generation 7, the table holds 8$/,
        `${intent} ${from} ${to}`,
      )
    }
  }
  t.same(await adsRows(path), ['b 2026-01-03 new 1 0.500000000'])
})

t.test('an older attempt may publish days the newer one did not', async t => {
  const { warehouse, path } = await prepared(t, ads)
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, draft('b', { generation: 8 }))], calling())
  const members = [
    await stage(warehouse, ads, draft('b', { from: '2026-01-02', rows: [ad('b', '2026-01-02', 'x')], generation: 7 })),
    await stage(warehouse, ads, draft('a', { generation: 7 })),
  ]
  await warehouse.commit(ads, TOTALS, members, calling())
  t.equal((await adsRows(path)).length, 3)
})

t.test('a fenced member keeps nobody else back', async t => {
  const { warehouse, path } = await prepared(t, ads)
  await warehouse.commit(ads, TOTALS, [await stage(warehouse, ads, draft('b', { generation: 8 }))], calling())
  await onlyB(t, warehouse, path, await three(warehouse, { generation: 7 }), /^FENCED/)
})

t.test('a key that occurs twice is refused, where the stream could not see it', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const rows = [ad('b', DAY, 'x', 1), ad('b', DAY, 'x', 2), ad('b', DAY, 'y')]
  const members = await three(warehouse, { rows, checkKey: true })
  await onlyB(
    t,
    warehouse,
    path,
    members,
    /^KEY_DUPLICATED conformance\/b\/2026-01-01: 1 keys \(client_id, date, name\) occur more than once$/,
  )
})

t.test('only members that ask for it are refused for their keys', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const rows = [ad('b', DAY, 'x', 1), ad('b', DAY, 'x', 2)]
  const members = [await stage(warehouse, ads, draft('a', { checkKey: true })), await stage(warehouse, ads, draft('b', { rows }))]
  await warehouse.commit(ads, TOTALS, members, calling())
  t.equal((await adsRows(path)).length, 3)
})

t.test('a table that was dropped in between fails the commit, and another try is worth it', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const [a, b, c] = await three(warehouse)
  await execute(path, 'ALTER TABLE ads.daily RENAME TO gone')
  t.same(await published(warehouse, [a, b, c]), { a: 'WAREHOUSE_FAILED', b: 'WAREHOUSE_FAILED', c: 'WAREHOUSE_FAILED' })
  await execute(path, 'ALTER TABLE ads.gone RENAME TO daily')
  t.same(await published(warehouse, [a, b, c]), { a: 'published', b: 'published', c: 'published' })
  t.equal(readdirSync(`${path}.staging`).length, 3)
})
