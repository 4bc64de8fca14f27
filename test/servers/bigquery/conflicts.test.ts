import t from 'tap'
import type { StatementEvent } from './context.ts'
import { adsTable, done, errorOf, type Host, host, load, row, run } from './kit.ts'

/** A server whose jobs stop before a statement of some kind until they are let go. */
async function stopping(t: Parameters<typeof host>[0], options: Parameters<typeof host>[1] = {}) {
  const stops = new Map<string, { reached: PromiseWithResolvers<void>; held: PromiseWithResolvers<void> }>()
  const onStatement = async ({ jobId, type }: StatementEvent): Promise<void> => {
    const stop = stops.get(`${jobId} ${type}`)
    stop?.reached.resolve()
    await stop?.held.promise
  }
  const at = await host(t, { ...options, onStatement })
  await load(await adsTable(at), [row('a', '2026-01-01', 1), row('b', '2026-01-02', 2)])
  /** Starts a script and waits until it is about to commit, or to do something else. */
  const held = async (jobId: string, body: string, before = 'COMMIT_TRANSACTION'): Promise<() => Promise<string | undefined>> => {
    const stop = { reached: Promise.withResolvers<void>(), held: Promise.withResolvers<void>() }
    stops.set(`${jobId} ${before}`, stop)
    const [job] = await at.bq.createQueryJob({ query: `BEGIN TRANSACTION; ${body} COMMIT TRANSACTION;`, jobId })
    await Promise.race([stop.reached.promise, done(job)])
    return async () => {
      stop.held.resolve()
      return errorOf(await done(job))?.message
    }
  }
  return { at, held }
}

const contents = async ({ server }: Host): Promise<string[]> =>
  (await server.query('SELECT client_id, n FROM ads.daily ORDER BY ALL')).map(({ client_id, n }) => `${client_id}${n}`)

const replace = (client: string): string =>
  `DELETE FROM ads.daily WHERE client_id = '${client}'; INSERT INTO ads.daily (client_id, date, n) VALUES ('${client}', DATE '2026-01-01', 9);`

const ABORTED =
  /^Query error: Transaction is aborted due to concurrent update against table headrace-test:ads\.daily\. Transaction ID: \S+ at \[1:\d+\]$/

t.test('of two transactions that change one table the later is aborted, though their rows are different ones', async t => {
  const { at, held } = await stopping(t)
  const first = await held('first', replace('a'))
  const second = await held('second', replace('b'))
  t.match(await second(), ABORTED)
  t.equal(await first(), undefined)
  t.strictSame(await contents(at), ['a9', 'b2'])
  const again = await held('second-2', replace('b'))
  t.equal(await again(), undefined, 'with a new job it succeeds')
  t.strictSame(await contents(at), ['a9', 'b9'])
})

t.test('a transaction is aborted by one that committed after it began', async t => {
  const { at, held } = await stopping(t)
  const late = await held('late', replace('a'), 'DELETE')
  t.notOk(errorOf(await run(at, `BEGIN TRANSACTION; ${replace('b')} COMMIT TRANSACTION;`)))
  t.match(await late(), ABORTED)
  t.strictSame(await contents(at), ['a1', 'b9'])
  const later = await held('later', replace('a'), 'DELETE')
  t.notOk(errorOf(await run(at, "UPDATE ads.daily SET n = 8 WHERE client_id = 'b'")))
  t.match(await later(), ABORTED, 'a change outside a transaction counts too')
})

t.test('transactions that only append do not conflict, and both leave their rows', async t => {
  const { at, held } = await stopping(t)
  const insert = "INSERT INTO ads.daily (client_id, date, n) VALUES ('c', DATE '2026-01-01', 3);"
  const first = await held('first', insert)
  const second = await held('second', insert)
  t.equal(await second(), undefined)
  t.equal(await first(), undefined)
  t.strictSame(await contents(at), ['a1', 'b2', 'c3', 'c3'], 'twice: nothing but a fence of their own keeps them apart')
})

t.test('loads, streams, appends and reads pass a transaction that holds a table', async t => {
  const { at, held } = await stopping(t)
  const first = await held('first', replace('a'))
  const table = at.bq.dataset('ads').table('daily')
  t.notOk(errorOf(await load(table, [row('d', '2026-01-01', 4)])))
  await table.insert([row('e', '2026-01-01', 5)])
  t.notOk(errorOf(await run(at, "INSERT INTO ads.daily (client_id, date, n) VALUES ('f', DATE '2026-01-01', 6)")))
  const [rows] = await (await run(at, 'SELECT client_id FROM ads.daily ORDER BY 1')).getQueryResults()
  t.strictSame(
    rows.map(({ client_id }) => client_id),
    ['a', 'b', 'd', 'e', 'f'],
    'nobody sees what is not committed',
  )
  t.equal(await first(), undefined)
})

t.test('changes outside a transaction wait until it is over', async t => {
  const { at, held } = await stopping(t)
  const first = await held('first', replace('a'))
  const [waiting] = await at.bq.createQueryJob({ query: "UPDATE ads.daily SET n = n + 1 WHERE client_id = 'a'" })
  // Long enough for a change that does not wait.
  for (let n = 0; n < 10; n++) t.match((await run(at, 'SELECT n FROM ads.daily')).metadata.status, { state: 'DONE' })
  t.match((await waiting.getMetadata())[0].status, { state: 'RUNNING' })
  t.equal(await first(), undefined)
  t.notOk(errorOf(await done(waiting)))
  t.strictSame(await contents(at), ['a10', 'b2'])
})

t.test('a transaction sees the tables as they were when it began, and what it did itself', async t => {
  const { at, held } = await stopping(t)
  const asItBegan = "ASSERT (SELECT COUNT(*) FROM ads.daily) = 2 AS 'as it began';"
  const itsOwn = "ASSERT (SELECT COUNT(*) FROM ads.daily) = 1 AS 'its own';"
  const reader = await held('reader', `${asItBegan} DELETE FROM ads.daily WHERE client_id = 'a'; ${itsOwn}`, 'ASSERT')
  await load(at.bq.dataset('ads').table('daily'), [row('c', '2026-01-01', 3)])
  t.equal(await reader(), undefined)
  t.strictSame(await contents(at), ['b2', 'c3'])
})

t.test('tables do not conflict with one another, and what is rolled back conflicts with nothing', async t => {
  const { at, held } = await stopping(t)
  await at.bq.dataset('ads').createTable('other', { schema: 'x:INT64' })
  await run(at, 'INSERT INTO ads.other (x) VALUES (1)')
  const first = await held('first', replace('a'))
  t.notOk(errorOf(await run(at, 'BEGIN TRANSACTION; UPDATE ads.other SET x = 2 WHERE TRUE; COMMIT TRANSACTION;')))
  t.equal(await first(), undefined)
  t.notOk(errorOf(await run(at, `BEGIN TRANSACTION; ${replace('a')} ROLLBACK TRANSACTION;`)))
  t.notOk(errorOf(await run(at, `BEGIN TRANSACTION; ${replace('a')} COMMIT TRANSACTION;`)))
})

t.test('whether a DELETE of nothing holds its table is for the test to say', async t => {
  for (const emptyMutationClaims of [false, true]) {
    const { held } = await stopping(t, { switches: { emptyMutationClaims } })
    const nothing = "DELETE FROM ads.daily WHERE client_id = 'z';"
    const first = await held('first', nothing)
    const second = await held('second', nothing)
    t.equal((await second()) === undefined, !emptyMutationClaims)
    t.equal(await first(), undefined)
  }
})

t.test('a table takes so many DML statements in ten seconds, if the test wants that', async t => {
  const at = await host(t, { switches: { dmlPer10Seconds: 2, loadsPerDay: 2 } })
  const table = await adsTable(at)
  const update = 'UPDATE ads.daily SET n = 1 WHERE TRUE'
  const reason = async (): Promise<string | undefined> => errorOf(await run(at, update))?.reason
  t.strictSame([await reason(), await reason(), await reason()], [undefined, undefined, 'rateLimitExceeded'])
  at.server.clock.advance(10_001)
  t.equal(await reason(), undefined)
  const loaded = async (): Promise<string | undefined> => errorOf(await load(table, [row('a', '2026-01-01', 1)]))?.reason
  t.strictSame([await loaded(), await loaded(), await loaded()], [undefined, undefined, 'quotaExceeded'])
})
