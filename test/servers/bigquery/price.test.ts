import t from 'tap'
import { adsTable, errorOf, type Host, host, load, row, run } from './kit.ts'

const MIB = 2 ** 20
const BYTES = { client_id: 3, date: 8, n: 8, cost: 16 }
const ALL = BYTES.client_id + BYTES.date + BYTES.n + BYTES.cost

/** A server with 10 rows of clients a and b each on two days. */
async function filled(t: Parameters<typeof host>[0]): Promise<Host> {
  const at = await host(t)
  const rows = ['a', 'b'].flatMap(client =>
    ['2026-01-01', '2026-01-02'].flatMap(date => Array.from({ length: 10 }, (_, n) => row(client, date, n))),
  )
  await load(await adsTable(at), rows)
  return at
}

async function price(at: Host, query: string, more: object = {}): Promise<{ processed: number; billed: number }> {
  const { totalBytesProcessed, totalBytesBilled } = (await run(at, query, more)).metadata.statistics.query
  return { processed: Number(totalBytesProcessed), billed: Number(totalBytesBilled) }
}

t.test('a query pays for the columns it names in the partitions it reads, 10 MiB per table at least', async t => {
  const at = await filled(t)
  await load(at.bq.dataset('ads').table('other'), [{ x: 'abc' }], { schema: { fields: [{ name: 'x', type: 'STRING' }] } })
  const least = 10 * MIB
  t.strictSame(await price(at, 'SELECT 1 AS x'), { processed: 0, billed: 0 })
  t.strictSame(await price(at, 'SELECT n FROM ads.daily'), { processed: 40 * BYTES.n, billed: least })
  t.strictSame(await price(at, "SELECT n FROM ads.daily WHERE client_id = 'a'"), {
    processed: 40 * (BYTES.n + BYTES.client_id),
    billed: least,
  })
  t.strictSame(await price(at, "SELECT COUNT(*) AS n FROM ads.daily WHERE date = '2026-01-01'"), {
    processed: 20 * BYTES.date,
    billed: least,
  })
  t.strictSame(await price(at, 'SELECT * FROM ads.daily, ads.other'), { processed: 40 * ALL + 5, billed: 2 * least })
})

t.test('a DELETE pays for the whole of every partition it touches, and nothing when it takes whole partitions', async t => {
  const at = await filled(t)
  const oneClient = await price(at, "DELETE FROM ads.daily WHERE client_id = 'a' AND date = DATE '2026-01-01'")
  t.strictSame(oneClient, { processed: 20 * (BYTES.client_id + BYTES.date) + 20 * ALL, billed: 10 * MIB })
  const wholeDay = await price(at, "DELETE FROM ads.daily WHERE date = DATE '2026-01-02'")
  t.strictSame(wholeDay, { processed: 0, billed: 0 })
  t.strictSame(await at.server.query('SELECT count(*) AS n FROM ads.daily'), [{ n: '10' }])
  t.strictSame(await price(at, "INSERT INTO ads.daily (client_id, date) VALUES ('a', DATE '2026-01-01')"), {
    processed: 0,
    billed: 0,
  })
  t.strictSame(
    await price(at, "INSERT INTO ads.daily (client_id, date) SELECT client_id, date FROM ads.daily WHERE date = '2026-01-01'"),
    {
      processed: 11 * (BYTES.client_id + BYTES.date),
      billed: 10 * MIB,
    },
  )
})

t.test('a script pays for its statements, and what it may cost is a limit', async t => {
  const at = await filled(t)
  const script =
    "DECLARE x INT64; SET x = (SELECT COUNT(n) FROM ads.daily); DELETE FROM ads.daily WHERE client_id = 'a'; SELECT x;"
  t.equal((await price(at, script)).billed, 20 * MIB)
  const deleteB = "SELECT 1 AS x; DELETE FROM ads.daily WHERE client_id = 'b';"
  const little = { scriptOptions: { statementByteBudget: String(MIB) } }
  t.match(errorOf(await run(at, deleteB, little)), {
    reason: 'bytesBilledLimitExceeded',
    message: /limit for bytes billed: 1048576\. 10485760 or higher/,
  })
  const one = await run(at, 'SELECT n FROM ads.daily', { maximumBytesBilled: '1000' })
  t.match(errorOf(one), { reason: 'bytesBilledLimitExceeded' })
  t.strictSame(await at.server.query('SELECT count(*) AS n FROM ads.daily'), [{ n: '20' }])
  t.notOk(errorOf(await run(at, deleteB, { scriptOptions: { statementByteBudget: String(10 * MIB) } })))
})

t.test('a dry run tells the bytes, finds mistakes, and runs nothing', async t => {
  const at = await filled(t)
  const dry = async (query: string): Promise<Record<string, unknown>> => {
    const [job] = await at.bq.createQueryJob({ query, dryRun: true })
    return job.metadata.statistics
  }
  t.match(await dry('SELECT n FROM ads.daily'), { totalBytesProcessed: String(40 * BYTES.n), query: { statementType: 'SELECT' } })
  await dry('DELETE FROM ads.daily WHERE TRUE')
  t.match(await dry('IF TRUE THEN SELECT 1; END IF;'), { totalBytesProcessed: '0', query: { statementType: 'SCRIPT' } })
  await t.rejects(dry('SELECT nothing FROM ads.daily'), { code: 400, message: /Unrecognized name: nothing/ })
  t.equal(at.server.jobs.filter(({ kind }) => kind === 'QUERY').length, 0)
  t.strictSame(await at.server.query('SELECT count(*) AS n FROM ads.daily'), [{ n: '40' }])
})
