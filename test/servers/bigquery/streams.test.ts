import type { Table } from '@google-cloud/bigquery'
import t from 'tap'
import { adsTable, errorOf, FIELDS, failure, host, row, rowsOf, run } from './kit.ts'

/** Streams rows as they are, and returns what the service says of them. */
async function stream(table: Table, rows: readonly object[], more: object = {}): Promise<object> {
  try {
    const raw = rows.map((json, index) => ({ insertId: `k${index}`, json }))
    const [response] = await table.insert(raw, { raw: true, partialRetries: 0, ...more })
    return response
  } catch (error) {
    return Object(error).response
  }
}

/** A day that many years from now: what is streamed must not be too far away. */
const years = (more: number): string => `${new Date().getUTCFullYear() + more}-06-15`
const TODAY = new Date().toISOString().slice(0, 10)

const BAD = { client_id: 'x', date: '2026-13-01', n: 'not-a-number' }

t.test('good rows are stored and seen at once', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  t.strictSame(await stream(table, [row('a', TODAY, 1), row('b', TODAY, 2)]), {
    kind: 'bigquery#tableDataInsertAllResponse',
  })
  t.strictSame(await rowsOf(at, 'SELECT client_id, n FROM ads.daily ORDER BY n'), [
    { client_id: 'a', n: 1 },
    { client_id: 'b', n: 2 },
  ])
})

t.test('one bad row stops all others, unless bad rows are to be skipped', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const stopped = { reason: 'stopped', location: '', debugInfo: '', message: '' }
  const bad = {
    index: 1,
    errors: [
      { reason: 'invalid', location: 'date', debugInfo: '', message: 'Cannot convert value to DATE (bad value): 2026-13-01' },
      { reason: 'invalid', location: 'n', debugInfo: '', message: 'Cannot convert value to integer (bad value): not-a-number' },
    ],
  }
  const rows = [row('a', TODAY, 1), BAD, row('b', TODAY, 2)]
  t.match(await stream(table, rows), { insertErrors: [{ index: 0, errors: [stopped] }, bad, { index: 2, errors: [stopped] }] })
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [])
  const skipped = await stream(table, rows, { skipInvalidRows: true })
  t.strictSame(Object(skipped).insertErrors, [bad])
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily ORDER BY n'), [{ n: 1 }, { n: 2 }])
})

t.test('unknown and missing fields, and days that are too far away, are errors of their row', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const response = await stream(table, [
    { ...row('a', TODAY, 1), x: 1 },
    { client_id: 'a' },
    row('a', years(-11), 1),
    row('a', years(2), 1),
  ])
  const messages = Object(response).insertErrors.map((one: { errors: { message: string }[] }) =>
    one.errors.map(({ message }) => message),
  )
  t.match(messages, [
    ['no such field: x.'],
    ['Missing required field: date.'],
    [/outside the allowed bounds/],
    [/outside the allowed bounds/],
  ])
  const ignoring = await stream(table, [{ ...row('a', TODAY, 1), x: 1 }], { ignoreUnknownValues: true })
  t.notOk('insertErrors' in ignoring)
})

t.test('single rows may fail for no reason of their own while the others are stored', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const fault = at.server.faults.add({
    on: 'tabledata.insertAll',
    effect: { kind: 'rows', indexes: [1], reason: 'backendError' },
  })
  const response = await stream(table, [row('a', TODAY, 1), row('b', TODAY, 2)])
  t.match(response, { insertErrors: [{ index: 1, errors: [{ reason: 'backendError' }] }] })
  t.equal(fault.fired, 1)
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [{ n: 1 }])
})

t.test('an insertId is remembered for a minute, and not at all if the test says so', async t => {
  for (const [dedupe, wanted] of [
    [true, 2],
    [false, 3],
  ] as const) {
    const at = await host(t, { switches: { dedupe } })
    const table = await adsTable(at)
    await stream(table, [row('a', TODAY, 1)])
    await stream(table, [row('a', TODAY, 1)])
    at.server.clock.advance(60_001)
    await stream(table, [row('a', TODAY, 1)])
    t.strictSame(await rowsOf(at, 'SELECT COUNT(*) AS n FROM ads.daily'), [{ n: wanted }])
  }
})

t.test('for half an hour streamed rows are in a buffer that nothing changes and lists do not show', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  await run(at, "INSERT INTO ads.daily (client_id, date, n) VALUES ('old', CURRENT_DATE(), 0)")
  await stream(table, [row('new', TODAY, 1)])
  const [metadata] = await table.getMetadata()
  t.match(metadata, { numRows: '1', streamingBuffer: { estimatedRows: '1' } })
  t.equal((await table.getRows())[0].length, 1)
  const affects = /would affect rows in the streaming buffer, which is not supported/
  const change = async (sql: string): Promise<string | undefined> => errorOf(await run(at, sql))?.message
  t.match(await change("DELETE FROM ads.daily WHERE client_id = 'new'"), affects)
  t.match(await change('UPDATE ads.daily SET n = 5 WHERE n > 0'), affects)
  t.match(await change('TRUNCATE TABLE ads.daily'), affects)
  const merge = (client: string): string =>
    `MERGE INTO ads.daily AS d USING (SELECT '${client}' AS c) AS s ON d.client_id = s.c WHEN MATCHED THEN UPDATE SET n = 7`
  t.match(await change(merge('new')), affects)
  t.match(
    await change("BEGIN TRANSACTION; DELETE FROM ads.daily WHERE client_id = 'old'; COMMIT TRANSACTION;"),
    affects,
    'in a transaction none of the table',
  )
  t.equal(await change(merge('old')), undefined)
  t.equal(await change("DELETE FROM ads.daily WHERE client_id = 'old'"), undefined)
  at.server.clock.advance(31 * 60_000)
  t.equal(await change("DELETE FROM ads.daily WHERE client_id = 'new'"), undefined)
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [])
  t.notOk('streamingBuffer' in (await table.getMetadata())[0])
})

t.test('rows streamed at the same moment are all stored', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const insert = (n: number): Promise<unknown> => table.insert([{ insertId: `r${n}`, json: row('a', TODAY, n) }], { raw: true })
  await Promise.all(Array.from({ length: 50 }, (_, n) => insert(n)))
  t.strictSame(await rowsOf(at, 'SELECT COUNT(*) AS n, COUNT(DISTINCT n) AS d FROM ads.daily'), [{ n: 50, d: 50 }])
})

t.test('a table that was just made loses what is streamed into it, if the test wants that', async t => {
  const at = await host(t, { switches: { freshTableLosesRowsMs: 60_000 } })
  const table = await adsTable(at)
  t.notOk('insertErrors' in (await stream(table, [row('a', TODAY, 1)])), 'it is acknowledged')
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [])
  at.server.clock.advance(60_001)
  await stream(table, [row('a', TODAY, 2)])
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [{ n: 2 }])
  const fault = at.server.faults.add({ on: 'tabledata.insertAll', effect: { kind: 'lose-rows' } })
  await stream(table, [row('b', TODAY, 3)])
  t.strictSame([fault.fired, await rowsOf(at, 'SELECT n FROM ads.daily')], [1, [{ n: 2 }]])
})

t.test('a request that is too large is refused whole', async t => {
  const at = await host(t)
  await at.bq.createDataset('ads')
  const [table] = await at.bq.dataset('ads').createTable('daily', { schema: FIELDS })
  const address = `${at.server.url}/bigquery/v2/projects/${at.server.project}/datasets/ads/tables/daily/insertAll`
  const post = async (rows: readonly object[]): Promise<number> =>
    (await fetch(address, { method: 'POST', body: JSON.stringify({ rows }) })).status
  t.equal(await post([]), 400)
  t.equal(await post(Array.from({ length: 50_001 }, () => ({ json: {} }))), 400)
  t.equal(await post([{ json: row('a'.repeat(11_000_000), TODAY, 1) }]), 400)
  t.equal(await post([{ insertId: 'k'.repeat(129), json: row('a', TODAY, 1) }]), 400)
  t.match(
    await failure(
      at.bq
        .dataset('ads')
        .table('none')
        .insert([{ a: 1 }], { partialRetries: 0 }),
    ),
    { code: 404 },
  )
  t.equal((await table.getMetadata())[0].streamingBuffer, undefined)
})
