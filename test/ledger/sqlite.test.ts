import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import type { Transaction } from '../../lib/ledger/sql/database.ts'
import { MIGRATIONS } from '../../lib/ledger/sql/schema.ts'
import { SqliteDatabase } from '../../lib/ledger/sqlite-database.ts'
import { begin, child, claimOf, folder, fresh, LEASE, publish } from './kit.ts'

t.test('the claim of a process that is killed need not run out', async t => {
  const { ledger, path, clock } = fresh(t)
  const { process, lines, ended } = child(t, 'claim-grant', path, 'books/acme', '0')
  t.equal((await lines.next()).value, 'claimed')
  clock.now = Date.now()
  t.same(await ledger.claimGrant('books/acme', 0, LEASE), { outcome: 'taken' })
  process.kill('SIGKILL')
  await ended
  t.match(await ledger.claimGrant('books/acme', 0, LEASE), { outcome: 'claimed', interruptedAt: Number })
})

t.test('a ledger from before drifts were remembered keeps the fields it knew', async t => {
  const path = join(folder(t), 'ledger.sqlite')
  const old = new DatabaseSync(path)
  old.exec(MIGRATIONS[0] ?? '')
  old.exec(`INSERT INTO shape VALUES ('p', '["a.x","b"]', 1); PRAGMA user_version = 1`)
  old.close()
  const { ledger } = fresh(t, { path })
  t.same((await ledger.knownShape('p', 'a')).fields, new Set(['a.x', 'b']))
  await publish(ledger, await claimOf(ledger, await begin(ledger)), { fields: ['n', 'unread'] })
  t.same((await ledger.knownShape('p', 'a')).fields, new Set(['a.x', 'b', 'n', 'unread']))
  t.same(await ledger.drifts('p', 10), [])
})

t.test('transactions of one process take turns, whichever connection they use, and nobody sees half of one', async t => {
  const path = join(folder(t), 'ledger.sqlite')
  const [one, other] = [0, 1].map(() => new SqliteDatabase({ path, now: Date.now, patienceMs: 0 }))
  if (one === undefined || other === undefined) return
  t.teardown(() => Promise.all([one.close(), other.close()]))
  const row = (pipeline: string) => ({ pipeline, fields: '[]', seen_at: 1 })
  const count = async (db: SqliteDatabase): Promise<number> => Number((await db.get('SELECT count(*) AS rows FROM shape'))?.rows)
  const seen: Promise<number>[] = []
  const works = [one, other, one, other].map((db, index) =>
    db.write(async tx => {
      await tx.insert('shape', [row(`first ${index}`)])
      seen.push(count(one), count(other))
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
      await tx.insert('shape', [row(`second ${index}`)])
    }),
  )
  await Promise.all(works)
  for (const rows of await Promise.all(seen)) t.equal(rows % 2, 0, `${rows} rows`)
  t.equal(await count(one), 8)
})

t.test('a transaction that fails leaves nothing, and the next one goes on', async t => {
  const db = new SqliteDatabase({ path: join(folder(t), 'ledger.sqlite'), now: Date.now })
  t.teardown(() => db.close())
  const failed = db.write(async tx => {
    await tx.insert('shape', [{ pipeline: 'p', fields: '[]', seen_at: 1 }])
    throw new TypeError('stop')
  })
  const next = db.write(async tx => tx.get('SELECT * FROM shape'))
  await t.rejects(failed, { code: 'LEDGER_FAILED', cause: { message: 'stop' } })
  t.equal(await next, undefined)
})

t.test('any number of rows is inserted, and each replaces the one with its key', async t => {
  const db = new SqliteDatabase({ path: join(folder(t), 'ledger.sqlite'), now: Date.now })
  t.teardown(() => db.close())
  for (const rows of [0, 1, 15, 16, 17, 255, 256, 257, 1_000]) {
    const day = (index: number) => ({ pipeline: 'p', schedule: 'daily', client: `c${index}`, at: rows, run_id: 'r' })
    const all = Array.from({ length: rows }, (_, index) => day(index))
    await db.write(tx => tx.insert('occasion', all, ['pipeline', 'schedule', 'client']))
    const found = await db.get('SELECT count(*) AS rows FROM occasion WHERE at = ?', rows)
    t.equal(Number(found?.rows), rows)
  }
})

t.test('what must survive a loss of power waits for the disk, and nothing else does', async t => {
  const db = new SqliteDatabase({ path: join(t.testdir(), 'ledger.sqlite'), now: Date.now })
  const FULL = 2n
  const NORMAL = 1n
  const level = async (tx: Transaction): Promise<unknown> => (await tx.get('PRAGMA synchronous'))?.synchronous
  t.equal(await db.write(level), FULL)
  t.equal(await db.writeBehind(level), NORMAL)
  t.equal(await db.write(level), FULL, 'which takes along what was written before')
  await db.close()
})
