import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { TransientError } from '../../lib/errors.ts'
import { Database, type Turn } from '../../lib/warehouse/duckdb/database.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { ad, ads, calling, child, folder, prepared, stage, TOTALS } from './kit.ts'

const DAY = '2026-01-01'

/** A database object on a path, as the warehouse makes it. */
function databaseAt(path: string, patienceMs = 60_000): Database {
  return new Database({ path, memoryLimit: '256MB', threads: 1, tempDirectory: `${path}.spill`, patienceMs })
}

t.test('two processes that publish to one file take turns, and both finish', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const others = ['a', 'b'].map(client => child(t, 'child.ts', 'turns', path, client, '5'))
  for (const { lines } of others) t.equal((await lines.next()).value, 'ready')
  for (const { process } of others) process.stdin?.write('go\n')
  const counted: Promise<unknown>[] = []
  for (let look = 0; look < 4; look++) counted.push(warehouse.recount(ads, TOTALS, ['a', 'b'], calling()))
  for (const { lines } of others) t.equal((await lines.next()).value, 'done')
  await Promise.all(counted)
  t.same(
    (await warehouse.recount(ads, TOTALS, ['a', 'b'], calling())).map(({ client, rows, totals }) => [
      client,
      rows,
      totals.clicks,
    ]),
    [
      ['a', 5, '25'],
      ['b', 5, '25'],
    ],
  )
})

t.test('processes that create the same file at once all find their table', async t => {
  const others = Array.from({ length: 3 }, () => child(t, 'child.ts', 'create'))
  for (const { lines } of others) await lines.next()
  for (let round = 0; round < 4; round++) {
    const path = join(folder(t), 'warehouse.duckdb')
    for (const { process } of others) process.stdin?.write(`${path}\n`)
    const answers = await Promise.all(others.map(async ({ lines }) => (await lines.next()).value))
    t.same(answers, ['there', 'there', 'there'])
  }
})

for (const mode of ['READ_WRITE', 'READ_ONLY']) {
  t.test(`a commit waits for a program that has the file open (${mode}), says so once, and goes on`, async t => {
    const { warehouse, path } = await prepared(t, ads)
    const shell = child(t, 'child.ts', 'hold', path, mode)
    await shell.lines.next()
    const member = await stage(warehouse, ads, { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')] })
    const call = calling()
    const tries = Promise.withResolvers<void>()
    const committed = warehouse.commit(ads, TOTALS, [member], {
      signal: call.signal,
      warn: (name, message) => {
        call.warn(name, message)
        tries.resolve()
      },
    })
    await tries.promise
    shell.process.stdin?.write('go\n')
    t.equal((await shell.lines.next()).value, 'released')
    t.match(await committed, [{ outcome: 'published' }])
    t.equal(call.warnings.length, 1)
    t.match(
      call.warnings[0],
      new RegExp(`^WAREHOUSE_WAITING ${path} is held by .*\\(PID ${shell.process.pid}\\); waiting for it$`),
    )
  })
}

t.test('a reader waits for a writer, and not for another reader', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const writer = child(t, 'child.ts', 'hold', path)
  await writer.lines.next()
  const waited = Promise.withResolvers<void>()
  const call = { ...calling(), warn: () => waited.resolve() }
  const clients = warehouse.clients(ads, call)
  await waited.promise
  writer.process.stdin?.write('go\n')
  t.same(await clients, [])
  await writer.ended
  const reader = child(t, 'child.ts', 'hold', path, 'READ_ONLY')
  await reader.lines.next()
  const undisturbed = calling()
  t.same(await warehouse.clients(ads, undisturbed), [])
  t.same(undisturbed.warnings, [])
})

t.test('patience ends', async t => {
  const { path } = await prepared(t, ads)
  const shell = child(t, 'child.ts', 'hold', path)
  await shell.lines.next()
  const impatient = duckdb({ path, patience: 0 })
  const busy = { code: 'WAREHOUSE_BUSY', message: new RegExp(`${path} was held by .*\\(PID ${shell.process.pid}\\) for 0 s`) }
  const member = await stage(impatient, ads, { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')] })
  await t.rejects(impatient.commit(ads, TOTALS, [member], calling()), busy)
  await t.rejects(impatient.prepare(ads, { create: true }, calling()), busy)
  shell.process.stdin?.write('go\n')
  await shell.ended
  t.match(await impatient.commit(ads, TOTALS, [member], calling()), [{ outcome: 'published' }], 'the next try works')
})

t.test('a signal ends the wait for another process at once, with its reason', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const shell = child(t, 'child.ts', 'hold', path)
  await shell.lines.next()
  const stop = new AbortController()
  const reason = new TransientError('ABORTED', { message: 'enough' })
  const clients = warehouse.clients(ads, { signal: stop.signal, warn: () => stop.abort(reason) })
  const error: unknown = await clients.catch(thrown => thrown)
  t.ok(error === reason || (error instanceof Error && error.cause === reason))
})

t.test('turns of one process follow one another, whatever becomes of them', async t => {
  const database = databaseAt(join(folder(t), 'x.duckdb'))
  const order: string[] = []
  const turn = (name: string, fails = false): Promise<void> =>
    database.turn(
      'write',
      async ({ run }) => {
        order.push(`${name} begins`)
        await run('CREATE TABLE IF NOT EXISTS x (n INTEGER)')
        order.push(`${name} ends`)
        if (fails) throw new Error(name)
      },
      calling(),
    )
  const settled = await Promise.allSettled([turn('1'), turn('2', true), turn('3')])
  t.same(order, ['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends'])
  t.same(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
})

t.test('a signal ends the wait for a turn of the same process, and the turns after it still wait', async t => {
  const database = databaseAt(join(folder(t), 'x.duckdb'))
  const working = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  let over = false
  const first = database.turn(
    'write',
    async () => {
      begun.resolve()
      await working.promise
      over = true
    },
    calling(),
  )
  await begun.promise
  const stop = new AbortController()
  const second = database.turn('write', async () => t.fail('it was given up'), calling(stop.signal))
  const third = database.turn('read', async () => t.ok(over, 'the third turn begins after the first has ended'), calling())
  stop.abort(new Error('enough'))
  await t.rejects(second, { message: 'enough' })
  t.notOk(over)
  working.resolve()
  await first
  await third
  await t.rejects(
    database.turn('read', async () => t.fail('too late'), calling(stop.signal)),
    { message: 'enough' },
  )
})

t.test('what has begun is finished although the signal is aborted', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const stop = new AbortController()
  const database = databaseAt(path)
  await database.turn(
    'write',
    async ({ run }) => {
      stop.abort()
      await run("INSERT INTO ads.daily VALUES ('a', DATE '2026-01-01', 'x', 1, 1, NULL)")
    },
    calling(stop.signal),
  )
  t.same(await warehouse.clients(ads, calling()), ['a'])
})

t.test('objects on one file share their turns however its path is spelled', async t => {
  const root = folder(t)
  mkdirSync(join(root, 'real'))
  symlinkSync('real', join(root, 'linked'))
  symlinkSync('real/x.duckdb', join(root, 'x-link'))
  const spellings = ['real/x.duckdb', 'linked/x.duckdb', 'real/../linked/./x.duckdb', 'x-link']
  for (const there of [false, true]) {
    t.equal(existsSync(join(root, 'real/x.duckdb')), there)
    const databases = spellings.map(spelling => databaseAt(`${root}/${spelling}`))
    await Promise.all(
      databases.map(database =>
        database.turn(
          'write',
          async ({ run }) => {
            await run('CREATE TABLE IF NOT EXISTS x (n INTEGER)')
            for (let n = 0; n < 5; n++) await run(`INSERT INTO x VALUES (${n})`)
          },
          calling(),
        ),
      ),
    )
    const [count] = await databaseAt(join(root, 'x-link')).turn(
      'read',
      ({ query }) => query('SELECT count(*) AS n FROM x'),
      calling(),
    )
    t.equal(Number(count?.n), there ? 40 : 20)
  }
})

t.test('folders that are not there yet are spelled as they will be', async t => {
  const root = folder(t)
  mkdirSync(join(root, 'real'))
  symlinkSync('real', join(root, 'linked'))
  const databases = ['real/new/x.duckdb', 'linked/new/x.duckdb'].map(spelling => databaseAt(join(root, spelling)))
  const insert = (database: Database): Promise<unknown> =>
    database.turn('write', ({ run }) => run('CREATE TABLE IF NOT EXISTS x AS SELECT 1 AS n'), calling())
  await Promise.all(databases.map(insert))
  t.ok(existsSync(join(root, 'real/new/x.duckdb')))
})

t.test('what a killed process spilled is removed with the next turn that writes', async t => {
  const path = join(folder(t), 'x.duckdb')
  mkdirSync(`${path}.spill`)
  writeFileSync(`${path}.spill/duckdb_temp_storage_DEFAULT-0.tmp`, 'left')
  await databaseAt(path).turn('write', async ({ run }) => void (await run('CREATE TABLE x (n INTEGER)')), calling())
  t.notOk(existsSync(`${path}.spill/duckdb_temp_storage_DEFAULT-0.tmp`))
})

t.test('a turn that spilled leaves nothing, and the next may spill too', async t => {
  const path = join(folder(t), 'x.duckdb')
  const small = new Database({
    path,
    memoryLimit: '60MB',
    threads: 1,
    tempDirectory: `${path}.spill`,
    patienceMs: 1_000,
  })
  const sort = ({ query }: Turn): Promise<unknown> =>
    query(
      'CREATE OR REPLACE TEMP TABLE x AS SELECT i, md5(i::VARCHAR) AS text FROM range(1000000) r(i) ORDER BY text',
      'SELECT count(*) AS n FROM x',
    )
  for (const time of ['first', 'second']) {
    const spilled = await small.turn(
      'write',
      async turn => {
        t.strictSame(await sort(turn), [{ n: '1000000' }], time)
        return existsSync(`${path}.spill`)
      },
      calling(),
    )
    t.ok(spilled, `${time}: it was more than fits`)
    t.notOk(existsSync(`${path}.spill`), `${time}: nothing is left`)
  }
})
