import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { settleHome } from '../../lib/engine/home.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { homes } from '../../lib/ledger/sql/homes.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import { SqliteDatabase } from '../../lib/ledger/sqlite-database.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import type { Warehouse } from '../../lib/warehouse/warehouse.ts'
import { folder } from '../ledger/kit.ts'
import { calling } from '../warehouse/kit.ts'

/** A ledger that hosts share, as one of them sees it, and the warehouse of that host. */
function host(
  t: Test,
  root: string,
  name: string,
): { ledger: Ledger; warehouse: Warehouse; file: string; settle: () => Promise<void> } {
  const path = join(root, 'ledger.sqlite')
  const owner = `${name} 1 1`
  const db = new SqliteDatabase({ path, now: Date.now })
  const ledger = { ...sqlite({ path, owner }), ...homes({ db, owner }) }
  t.teardown(() => Promise.all([ledger.close(), db.close()]))
  const file = join(root, name, 'warehouse.duckdb')
  mkdirSync(join(root, name))
  const warehouse = duckdb({ path: file })
  return { ledger, warehouse, file, settle: () => settleHome('p', warehouse, ledger, calling()) }
}

t.test('a second host with a file of its own is refused by name, and gets none', async t => {
  const root = folder(t)
  const [here, there] = [host(t, root, 'here'), host(t, root, 'there')]
  await here.settle()
  await here.settle()
  for (let time = 0; time < 2; time++) {
    await t.rejects(there.settle(), {
      code: 'WAREHOUSE_ELSEWHERE',
      message: `the pipeline p is published into ${here.file} on here; ${there.file} on this host is another file`,
      hint: /Run headrace on here/,
    })
    t.notOk(existsSync(there.file))
  }
  await there.warehouse.file?.({ create: true }, calling())
  await t.rejects(there.settle(), { code: 'WAREHOUSE_ELSEWHERE' }, 'nor with a file that came from elsewhere')
  await settleHome('q', there.warehouse, there.ledger, calling())
})

t.test('a file that is brought along is the same file', async t => {
  const root = folder(t)
  const [here, there] = [host(t, root, 'here'), host(t, root, 'there')]
  await here.settle()
  cpSync(here.file, there.file)
  rmSync(here.file)
  await there.settle()
  await t.rejects(here.settle(), { code: 'WAREHOUSE_ELSEWHERE' }, 'it has moved')
})

t.test('a file that was removed on its host may begin anew there', async t => {
  const root = folder(t)
  const { settle, file, warehouse } = host(t, root, 'here')
  await settle()
  const before = await warehouse.file?.({ create: false }, calling())
  rmSync(file)
  await settle()
  t.not((await warehouse.file?.({ create: false }, calling()))?.id, before?.id)
})

t.test('a ledger of one host, and a warehouse that every host reaches, are not asked', async t => {
  const root = folder(t)
  const { ledger, warehouse, file } = host(t, root, 'here')
  const { keepHome: _, ...alone } = ledger
  const { file: __, ...everywhere } = warehouse
  await settleHome('p', warehouse, alone, calling())
  await settleHome('p', everywhere, ledger, calling())
  t.notOk(existsSync(file))
})
