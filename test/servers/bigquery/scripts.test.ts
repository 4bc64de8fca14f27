import { BigQuery } from '@google-cloud/bigquery'
import t from 'tap'
import { adsTable, done, errorOf, failure, type Host, host, load, row, rowsOf, run } from './kit.ts'

/** A server with three rows: two of client a, one of b. */
async function filled(t: Parameters<typeof host>[0], options: Parameters<typeof host>[1] = {}): Promise<Host> {
  const at = await host(t, options)
  await load(await adsTable(at), [row('a', '2026-01-01', 1), row('a', '2026-01-02', 2), row('b', '2026-01-01', 3)])
  return at
}

const contents = ({ server }: Host): Promise<Record<string, unknown>[]> =>
  server.query('SELECT client_id, date::VARCHAR AS date, n FROM ads.daily ORDER BY ALL')

const INSERT = "INSERT INTO ads.daily (client_id, date, n) VALUES ('c', DATE '2026-01-01', 9);"
const DELETE = "DELETE FROM ads.daily WHERE client_id = 'a';"

t.test('a script that commits leaves what it did, and tells it by the row count of each statement', async t => {
  const at = await filled(t)
  const query = `DECLARE deleted, inserted INT64; BEGIN TRANSACTION; ${DELETE} SET deleted = @@row_count; ${INSERT}
    SET inserted = @@row_count; COMMIT TRANSACTION; SELECT deleted, inserted;`
  const job = await run(at, query, { labels: { run: 'r1' }, jobId: 'cg-1' })
  t.match(job.metadata, {
    configuration: { labels: { run: 'r1' }, query: { query, useLegacySql: false } },
    statistics: { query: { statementType: 'SCRIPT' } },
  })
  t.strictSame((await job.getQueryResults())[0], [{ deleted: 2, inserted: 1 }])
  t.strictSame(await contents(at), [
    { client_id: 'b', date: '2026-01-01', n: '3' },
    { client_id: 'c', date: '2026-01-01', n: '9' },
  ])
  const [children] = await at.bq.getJobs({ parentJobId: 'cg-1' })
  t.equal(job.metadata.statistics.numChildJobs, String(children.length))
  const dml = children.flatMap(({ metadata: { statistics } }) =>
    statistics.query.numDmlAffectedRows === undefined
      ? []
      : [[statistics.query.statementType, statistics.query.numDmlAffectedRows, statistics.query.dmlStats]],
  )
  t.strictSame(
    dml,
    [
      ['INSERT', '1', { insertedRowCount: '1' }],
      ['DELETE', '2', { deletedRowCount: '2' }],
    ],
    'newest first',
  )
  for (const { metadata } of children)
    t.match(metadata.statistics, { parentJobId: 'cg-1', scriptStatistics: { evaluationKind: /STATEMENT|EXPRESSION/ } })
  t.notOk(
    (await at.bq.getJobs({}))[0].some(({ id }) => id?.startsWith('script_job')),
    'children are not among the jobs',
  )
})

t.test('a script that fails after its DELETE, or ends without COMMIT, leaves the table as it was', async t => {
  const at = await filled(t)
  const before = await contents(at)
  for (const [end, message] of [
    ["RAISE USING MESSAGE = CONCAT('HR_COUNTS ', '[1]');", /^Query error: HR_COUNTS \[1\] at \[1:\d+\]$/],
    ['SELECT 1 / 0;', /division by zero/],
    ['SELECT x FROM ads.nothing;', /Not found: Table headrace-test:ads\.nothing/],
    ['ASSERT FALSE AS "no";', /no at \[1:/],
    ['CREATE TABLE ads.other (x INT64);', /DDL statements are not supported in a transaction/],
    ['BEGIN TRANSACTION;', /Nested transactions/],
    ['ROLLBACK TRANSACTION;', undefined],
    ['', undefined],
  ] as const) {
    const job = await run(at, `BEGIN TRANSACTION; ${DELETE} ${INSERT} ${end}`)
    if (message === undefined) t.notOk(errorOf(job))
    else t.match(errorOf(job)?.message, message)
    t.strictSame(await contents(at), before)
  }
})

t.test('a failed script says in which statement, and nothing ran of one with a mistake', async t => {
  const at = await filled(t)
  const job = await run(at, `${DELETE}\n  RAISE USING MESSAGE = 'HR_X';`)
  t.match(errorOf(job), { reason: 'invalidQuery', message: 'Query error: HR_X at [2:3]' })
  t.match(await failure(job.getQueryResults()), { code: 400, errors: [{ reason: 'invalidQuery' }] })
  const [children] = await at.bq.getJobs({ parentJobId: job.id ?? '' })
  t.match(children[0]?.metadata.status.errorResult, { message: /HR_X/ })
  t.equal((await contents(at)).length, 1, 'outside a transaction what is done stays done')
  const wrong = await run(at, `${INSERT} SELEC 1;`)
  t.match(errorOf(wrong), { reason: 'invalidQuery', message: /Syntax error.* at \[1:\d+\]/ })
  t.equal((await contents(at)).length, 1)
})

t.test('of a condition the branch that holds runs, and NULL holds for none', async t => {
  const at = await filled(t)
  const query = `DECLARE x INT64; IF x = 1 THEN ${DELETE} ELSEIF x IS NULL THEN ${INSERT} ELSE ${DELETE} END IF; IF NOT (x != 1) THEN ${DELETE} END IF;`
  const job = await run(at, query)
  t.notOk(errorOf(job))
  t.equal((await contents(at)).length, 4)
  const [children] = await at.bq.getJobs({ parentJobId: job.id ?? '' })
  const types = children.map(({ metadata }) => metadata.statistics.query.statementType)
  t.strictSame(types, ['SELECT', 'INSERT', 'SELECT', 'SELECT'], 'what was not reached is no job')
})

t.test('parameters of every kind arrive, and one that the client turned into NULL matches nothing', async t => {
  const at = await filled(t)
  const query =
    'SELECT e.client_id, e.n, @d AS d, @s AS s FROM UNNEST(@expected) AS e WHERE e.client_id IN UNNEST(@clients) ORDER BY 1'
  const [first] = await rowsOf(at, query, {
    params: {
      expected: [
        { client_id: 'a', n: BigQuery.int('42') },
        { client_id: 'z', n: 1 },
      ],
      clients: ['a', "b'"],
      d: BigQuery.date('2026-01-01'),
      s: "it's",
    },
    types: { expected: [{ client_id: 'STRING', n: 'INT64' }], clients: ['STRING'], d: 'DATE', s: 'STRING' },
  })
  t.match(first, { client_id: 'a', n: 42, d: { value: '2026-01-01' }, s: "it's" })
  t.strictSame(
    await rowsOf(at, query, {
      params: { expected: [], clients: [], d: null, s: '' },
      types: { expected: [{ client_id: 'STRING', n: 'INT64' }], clients: ['STRING'], d: 'DATE', s: 'STRING' },
    }),
    [],
  )
  const trap = { params: { d0: '2026-01-01', d1: '2026-01-31' }, types: { d0: 'DATE', d1: 'DATE' } }
  const job = await run(at, 'DELETE FROM ads.daily WHERE date BETWEEN @d0 AND @d1', trap)
  t.equal(job.metadata.statistics.query.numDmlAffectedRows, '0')
  t.match(errorOf(await run(at, 'SELECT @nothing AS x')), { message: /Query parameter 'nothing' not found/ })
})

t.test('a job id is run once, whatever is asked the second time', async t => {
  const at = await filled(t)
  await run(at, INSERT, { jobId: 'once' })
  t.match(await failure(run(at, DELETE, { jobId: 'once' })), {
    code: 409,
    message: /Already Exists: Job headrace-test:US\.once/,
    errors: [{ reason: 'duplicate' }],
  })
  t.equal((await contents(at)).length, 4)
  const [metadata] = await at.bq.job('once').getMetadata()
  t.equal(metadata.configuration.query.query, INSERT, 'the first is there to be adopted')
  for (const requestId of ['r1', 'r1', 'r2']) {
    const body = JSON.stringify({ query: INSERT, useLegacySql: false, requestId })
    const answer = await fetch(`${at.server.url}/bigquery/v2/projects/${at.server.project}/queries`, { method: 'POST', body })
    t.match(await answer.json(), { jobComplete: true, numDmlAffectedRows: '1' })
  }
  t.equal((await contents(at)).length, 6, 'a request id is run once too')
})

t.test('a job that is cancelled, or takes too long, stops and leaves nothing', async t => {
  const reached = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  const at = await filled(t, {
    onStatement: async ({ type }) => {
      if (type !== 'COMMIT_TRANSACTION') return
      reached.resolve()
      await held.promise
    },
  })
  const before = await contents(at)
  const [job] = await at.bq.createQueryJob({ query: `BEGIN TRANSACTION; ${DELETE} COMMIT TRANSACTION;`, jobId: 'slow' })
  await reached.promise
  t.match((await job.getMetadata())[0].status, { state: 'RUNNING' })
  const [cancelled] = await job.cancel()
  t.match(cancelled, { kind: 'bigquery#jobCancelResponse', job: { jobReference: { jobId: 'slow' } } })
  held.resolve()
  t.match(errorOf(await done(job)), { reason: 'stopped' })
  t.strictSame(await contents(at), before)
  at.server.faults.add({ on: 'job', effect: { kind: 'stuck' } })
  t.match(errorOf(await run(at, DELETE, { jobTimeoutMs: 20 })), { reason: 'timeout', message: /20 ms/ })
  t.strictSame(await contents(at), before)
})

t.test('who asks for the results of a running job waits, as long as it wants to', async t => {
  const held = Promise.withResolvers<void>()
  const at = await host(t, { onStatement: () => held.promise })
  const [job] = await at.bq.createQueryJob({ query: 'SELECT 1 AS x', jobId: 'wait' })
  const address = `${at.server.url}/bigquery/v2/projects/${at.server.project}/queries/wait`
  const early = await (await fetch(`${address}?timeoutMs=1`)).json()
  t.match(early, { jobComplete: false, jobReference: { jobId: 'wait' } })
  t.notOk('rows' in Object(early) || 'schema' in Object(early))
  const late = job.getQueryResults()
  held.resolve()
  t.strictSame((await late)[0], [{ x: 1 }])
})

t.test('a merge updates, inserts and deletes, and refuses two rows for one', async t => {
  const at = await filled(t)
  const merge = (
    source: string,
  ): string => `MERGE INTO ads.daily AS d USING (${source}) AS s ON d.client_id = s.client_id AND d.date = s.date
    WHEN MATCHED AND s.n < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = s.n
    WHEN NOT MATCHED THEN INSERT (client_id, date, n) VALUES (s.client_id, s.date, s.n)`
  const one = (client: string, n: number): string => `SELECT '${client}' AS client_id, DATE '2026-01-01' AS date, ${n} AS n`
  const job = await run(at, merge(`${one('a', 10)} UNION ALL ${one('b', -1)} UNION ALL ${one('c', 30)}`))
  t.match(job.metadata.statistics.query, {
    statementType: 'MERGE',
    numDmlAffectedRows: '3',
    dmlStats: { insertedRowCount: '1', updatedRowCount: '1', deletedRowCount: '1' },
  })
  const after = await contents(at)
  t.strictSame(
    after.map(({ client_id, n }) => `${client_id}${n}`),
    ['a10', 'a2', 'c30'],
  )
  t.match(errorOf(await run(at, merge(`${one('a', 1)} UNION ALL ${one('a', 2)}`))), {
    message: /must match at most one source row/,
  })
  t.match(
    errorOf(
      await run(
        at,
        `UPDATE ads.daily AS d SET n = s.n FROM (${one('a', 1)} UNION ALL ${one('a', 2)}) AS s WHERE d.client_id = s.client_id`,
      ),
    ),
    { message: /must match at most one source row/ },
  )
  t.strictSame(await contents(at), after)
})
