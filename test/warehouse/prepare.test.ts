import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { date, defineTable, int64, nullable, numeric, string, timestamp } from '../../lib/table.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { ad, ads, adsRows, calling, child, execute, folder, prepared, query, stage, TOTALS } from './kit.ts'

const COLUMNS = {
  client_id: 'VARCHAR NOT NULL',
  date: 'DATE NOT NULL',
  name: 'VARCHAR NOT NULL',
  clicks: 'BIGINT NOT NULL',
  cost: 'DECIMAL(38,9) NOT NULL',
  note: 'VARCHAR',
}

/** A file that holds a table somebody else made. */
async function handMade(t: Test, columns: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder(t), 'warehouse.duckdb')
  const list = Object.entries(columns).map(([name, type]) => `${name} ${type}`)
  await execute(path, 'CREATE SCHEMA ads', `CREATE TABLE ads.daily (${list.join(', ')})`)
  return path
}

async function differences(path: string, table = ads): Promise<string> {
  const error = await duckdb({ path })
    .prepare(table, { create: true }, calling())
    .then(
      () => ({ code: '', message: 'accepted' }),
      error => error,
    )
  return error.code === 'TABLE_MISMATCH' ? error.message : `${error.code} ${error.message}`
}

t.test('a table that is not there is created, and found the next time', async t => {
  const path = join(folder(t), 'new', 'folders', 'warehouse.duckdb')
  const warehouse = duckdb({ path })
  t.equal(await warehouse.prepare(ads, { create: true }, calling()), false)
  t.equal(await warehouse.prepare(ads, { create: true }, calling()), true)
  const columns = await query(
    path,
    `SELECT column_name AS name, data_type AS type FROM duckdb_columns() WHERE table_name = 'daily'`,
  )
  t.same(
    columns.map(({ name, type }) => `${name} ${type}`),
    ['client_id VARCHAR', 'date DATE', 'name VARCHAR', 'clicks BIGINT', 'cost DECIMAL(38,9)', 'note VARCHAR'],
  )
})

t.test('without leave to create, nothing is written', async t => {
  const path = join(folder(t), 'warehouse.duckdb')
  t.equal(await duckdb({ path }).prepare(ads, { create: false }, calling()), false)
  t.notOk(existsSync(path))
})

t.test('every difference is named, all in one error', async t => {
  const path = await handMade(t, {
    client_id: 'VARCHAR NOT NULL',
    date: 'DATE NOT NULL',
    name: 'VARCHAR',
    clicks: 'INTEGER NOT NULL',
    note: 'VARCHAR NOT NULL',
    extra: 'DATE',
  })
  t.equal(
    await differences(path),
    'table ads.daily differs from its declaration: column name is nullable, declared otherwise; ' +
      'column clicks is INTEGER, declared INT64 (BIGINT); column cost is missing; ' +
      'column note is required, declared otherwise; column extra is not declared',
  )
})

t.test('a table of other days or another order of clustering is refused', async t => {
  const { path } = await prepared(t, ads)
  const columns = { ...ads.columns, date: date(), day: date() }
  const before = defineTable('ads.two', columns, { partitionBy: 'date', clusterBy: ['client_id', 'name'] })
  const after = defineTable('ads.two', columns, { partitionBy: 'day' })
  await duckdb({ path }).prepare(before, { create: true }, calling())
  t.equal(
    await differences(path, after),
    'table ads.two differs from its declaration: it is partitioned by date, declared day; ' +
      'it is clustered by client_id, name, declared client_id',
  )
})

t.test('every column type is created as what it is compared with', async t => {
  const table = defineTable(
    'ads.types',
    { client_id: string(), date: date(), a: int64(), b: nullable(numeric()), c: timestamp() },
    { partitionBy: 'date' },
  )
  const { warehouse } = await prepared(t, table)
  t.equal(await warehouse.prepare(table, { create: true }, calling()), true)
})

t.test('a table somebody else made is used when its columns fit, whatever its layout and the case of its name', async t => {
  const path = await handMade(t, COLUMNS)
  await execute(path, 'ALTER TABLE ads.daily RENAME TO DAILY', "COMMENT ON TABLE ads.DAILY IS 'made by hand'")
  const warehouse = duckdb({ path })
  t.equal(await warehouse.prepare(ads, { create: true }, calling()), true)
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
  await warehouse.commit(ads, TOTALS, [member], calling())
  t.same(await adsRows(path), ['a 2026-01-01 x 1 0.500000000'])
})

t.test('before rejects have a place, there are none to read', async t => {
  const path = await handMade(t, COLUMNS)
  t.same(await duckdb({ path }).rejects(ads, { limit: 9 }, calling()), [])
})

t.test('a view of that name is refused', async t => {
  const path = join(folder(t), 'warehouse.duckdb')
  await execute(path, 'CREATE SCHEMA ads', 'CREATE VIEW ads.daily AS SELECT 1 AS client_id')
  t.equal(await differences(path), 'table ads.daily differs from its declaration: it is a view')
})

t.test('a table that stands where the rejects belong is refused, not emptied', async t => {
  const path = await handMade(t, COLUMNS)
  await execute(
    path,
    'CREATE TABLE ads.daily_rejects (client_id VARCHAR, day DATE)',
    "INSERT INTO ads.daily_rejects VALUES ('a', NULL)",
  )
  t.match(await differences(path), /^table ads\.daily_rejects differs from its declaration: column client_id is nullable/)
})

t.test('the name of the file may be the name of a dataset', async t => {
  for (const name of ['ads.duckdb', 'headrace.duckdb', 'db.duckdb', 'temp.duckdb', 'main']) {
    const path = join(folder(t), name)
    const warehouse = duckdb({ path })
    await warehouse.prepare(ads, { create: true }, calling())
    const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
    await warehouse.commit(ads, TOTALS, [member], calling())
    t.same(await warehouse.clients(ads, calling()), ['a'], name)
  }
})

t.test('the names of the folders mean nothing', async t => {
  for (const name of ['cost=5', 'client_id=7', 'a[1]', 'b*', "it's", 'two words', 'ünï', '~']) {
    const path = join(folder(t), name, 'warehouse.duckdb')
    const warehouse = duckdb({ path })
    await warehouse.prepare(ads, { create: true }, calling())
    const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
    await warehouse.commit(ads, [], [{ ...member, days: member.days.map(day => ({ ...day, totals: {} })) }], calling())
    t.same(await adsRows(path), ['a 2026-01-01 x 1 0.500000000'], name)
  }
})

t.test('a relative path is taken from where the process was when it was declared', async t => {
  const path = join(folder(t), 'warehouse.duckdb')
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(join(path, '..'))
  const warehouse = duckdb({ path: 'warehouse.duckdb' })
  process.chdir(before)
  await warehouse.prepare(ads, { create: true }, calling())
  const member = await stage(warehouse, ads, { client: 'a', from: '2026-01-01', rows: [ad('a', '2026-01-01', 'x')] })
  await warehouse.commit(ads, TOTALS, [member], calling())
  t.equal((await adsRows(path)).length, 1)
})

t.test('a file that is no DuckDB database is refused and left as it is', async t => {
  for (const content of ['client_id,date\n', 'SQLite format 3\0and more', 'short', '', Buffer.alloc(4_096, 7)]) {
    const path = join(folder(t), 'warehouse.duckdb')
    writeFileSync(path, content)
    await t.rejects(duckdb({ path }).prepare(ads, { create: true }, calling()), { code: 'WAREHOUSE_UNUSABLE' })
    t.ok(readFileSync(path).equals(Buffer.from(content)))
  }
})

t.test('a DuckDB file that is cut off is refused', async t => {
  const { path } = await prepared(t, ads)
  writeFileSync(path, readFileSync(path).subarray(0, 6_000))
  await t.rejects(duckdb({ path }).prepare(ads, { create: true }, calling()), { code: 'WAREHOUSE_UNUSABLE' })
})

t.test('a folder, or a file where a folder should be, is refused', async t => {
  const path = folder(t)
  writeFileSync(join(path, 'file'), '')
  mkdirSync(join(path, 'folder.duckdb'))
  for (const wrong of ['folder.duckdb', 'file/warehouse.duckdb']) {
    const warehouse = duckdb({ path: join(path, wrong) })
    await t.rejects(warehouse.prepare(ads, { create: true }, calling()), { code: 'WAREHOUSE_UNUSABLE' }, wrong)
    await t.rejects(warehouse.clients(ads, calling()), { code: 'WAREHOUSE_UNUSABLE' }, wrong)
  }
})

t.test('a link that leads nowhere yet is followed', async t => {
  const path = folder(t)
  symlinkSync('real.duckdb', join(path, 'link.duckdb'))
  await duckdb({ path: join(path, 'link.duckdb') }).prepare(ads, { create: true }, calling())
  t.ok(existsSync(join(path, 'real.duckdb')))
})

t.test(
  'without permission the warehouse is unusable, and nothing is taken for missing',
  { skip: process.getuid?.() !== 0 && 'only root may become somebody else' },
  async t => {
    const { path } = await prepared(t, ads)
    const other = child(t, 'child.ts', 'as-nobody', path)
    chmodSync(path, 0o600)
    t.match((await other.lines.next()).value, /^prepare WAREHOUSE_UNUSABLE .*Permission denied|EACCES/)
    t.match((await other.lines.next()).value, /^clients WAREHOUSE_UNUSABLE/)
    chmodSync(join(path, '..'), 0o700)
    other.process.stdin?.write('again\n')
    t.match((await other.lines.next()).value, /^clients WAREHOUSE_UNUSABLE/)
  },
)
