import t from 'tap'
import { adsTable, errorOf, type Host, host, load, row, rowsOf, run } from './kit.ts'

/** What an expression is worth, as the wire carries it. */
async function worth(at: Host, expression: string): Promise<unknown> {
  const job = await run(at, `SELECT ${expression} AS x`)
  const error = errorOf(job)
  if (error !== undefined) return `error: ${error.message}`
  const [, , response] = await job.getQueryResults({ autoPaginate: false, skipParsing: true })
  return Object(response).rows[0].f[0].v
}

t.test('expressions are worth what GoogleSQL says, above all where DuckDB says otherwise', async t => {
  const at = await host(t)
  const table: Record<string, unknown> = {
    '1 + 2 * 3': '7',
    '2147483647 + 1': '2147483648',
    '7 / 2': '3.5',
    'DIV(7, 2)': '3',
    "'a' || 'b'": 'ab',
    "CONCAT('a', NULL)": null,
    "'it\\'s \\u00fc\\n'": "it's ü\n",
    '"double"': 'double',
    'CAST(NULL AS INT64) = 1': null,
    'NULL IS DISTINCT FROM 1': 'true',
    '1 IN UNNEST(NULL_ARRAY)': 'error: Unrecognized name: NULL_ARRAY at [1:20]',
    '1 IN UNNEST([2, 3])': 'false',
    '1 NOT IN (2, NULL)': null,
    'GREATEST(1, NULL)': null,
    'GREATEST(1, 3, 2)': '3',
    "IF(NULL, 'a', 'b')": 'b',
    "CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' END": 'b',
    "FORMAT('%d-%s', 1, CAST(NULL AS STRING))": null,
    "FORMAT('%t %d%%', NULL, 5)": 'NULL 5%',
    "CAST(NUMERIC '1.500' AS STRING)": '1.5',
    'CAST(2.0 AS STRING)': '2',
    "CAST('9223372036854775807' AS INT64)": '9223372036854775807',
    "SAFE_CAST('x' AS INT64)": null,
    '(SELECT CAST(SUM(CAST(v AS BIGNUMERIC)) AS STRING) FROM UNNEST([9223372036854775807, 1]) AS v)': '9223372036854775808',
    "CAST(DATE '2026-01-02' AS STRING)": '2026-01-02',
    "DATE_TRUNC(DATE '2026-03-17', MONTH)": '2026-03-01',
    "DATE_ADD(DATE '2026-01-31', INTERVAL 1 MONTH)": '2026-02-28',
    "DATE_DIFF(DATE '2026-03-01', DATE '2026-02-01', DAY)": '28',
    "TIMESTAMP '2026-01-01T00:00:00.000001Z'": '1767225600000001',
    "FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%SZ', TIMESTAMP '2026-01-01 00:00:00+00')": '2026-01-01T00:00:00Z',
    'EXTRACT(MONTH FROM DATE "2026-03-17")': '3',
    "'a_c' LIKE 'a\\\\_c'": 'true',
    "'abc' LIKE 'a\\\\_c'": 'false',
    'ARRAY_LENGTH([1, 2])': '2',
    '[10, 20][OFFSET(1)]': '20',
    '[10, 20][SAFE_ORDINAL(3)]': null,
    'ARRAY(SELECT x * 2 FROM UNNEST([1, 2]) AS x)': [{ v: '2' }, { v: '4' }],
    'ARRAY(SELECT x FROM UNNEST([1]) AS x WHERE FALSE)': [],
    "STRUCT(1 AS a, 'b' AS b)": { f: [{ v: '1' }, { v: 'b' }] },
    "(SELECT COUNT(*) FROM UNNEST(['a', 'b']) AS v WITH OFFSET AS o WHERE o > 0)": '1',
    'EXISTS (SELECT 1 FROM UNNEST([1]) AS v WHERE v = 2)': 'false',
    "TO_JSON_STRING(STRUCT('a\"' AS s, 1 AS i, NUMERIC '1.50' AS n, NUMERIC '2' AS w, DATE '2026-01-01' AS d, CAST(NULL AS STRING) AS z))":
      '{"s":"a\\"","i":1,"n":"1.5","w":2,"d":"2026-01-01","z":null}',
    '(SELECT TO_JSON_STRING(ARRAY_AGG(STRUCT(v) ORDER BY v DESC LIMIT 1)) FROM UNNEST([1, 2]) AS v)': '[{"v":2}]',
    "TO_JSON_STRING(TIMESTAMP '2026-01-01 00:00:00.5+00')": '"2026-01-01T00:00:00.5Z"',
    'TO_JSON_STRING(PARSE_JSON(\'{"b": [1]}\'))': '{"b":[1]}',
    'CAST(9223372036854775807 AS NUMERIC)': '9223372036854775807',
  }
  for (const [expression, wanted] of Object.entries(table)) t.strictSame(await worth(at, expression), wanted, expression)
})

t.test('queries join, group, order and number their columns as GoogleSQL does', async t => {
  const at = await host(t)
  await load(await adsTable(at), [row('a', '2026-01-01', 1), row('a', '2026-01-02', 2, '1.25'), row('b', '2026-01-01', 3)])
  const table: Record<string, unknown> = {
    'SELECT COUNT(*), MAX(n), client_id FROM `headrace-test.ads.daily` GROUP BY client_id ORDER BY 3': [
      { f0_: 2, f1_: 2, client_id: 'a' },
      { f0_: 1, f1_: 3, client_id: 'b' },
    ],
    'SELECT n FROM ads.daily UNION ALL SELECT NULL ORDER BY n DESC LIMIT 2': [{ n: 3 }, { n: 2 }],
    'SELECT n FROM ads.daily UNION ALL SELECT NULL ORDER BY n LIMIT 1': [{ n: null }],
    'WITH s AS (SELECT client_id, SUM(n) AS total FROM ads.daily GROUP BY 1) SELECT d.n, s.total FROM ads.daily AS d JOIN s USING (client_id) WHERE d.n = 2':
      [{ n: 2, total: 3 }],
    'SELECT d.* EXCEPT (cost, date) FROM ads.daily AS d QUALIFY ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY n DESC) = 1 ORDER BY n':
      [
        { client_id: 'a', n: 2 },
        { client_id: 'b', n: 3 },
      ],
    "SELECT e.k, IFNULL(d.n, 0) AS n FROM UNNEST([STRUCT('b' AS k), STRUCT('z' AS k)]) AS e LEFT JOIN ads.daily AS d ON d.client_id = e.k ORDER BY 1":
      [
        { k: 'b', n: 3 },
        { k: 'z', n: 0 },
      ],
    'SELECT client_id FROM ads.daily EXCEPT DISTINCT SELECT "a"': [{ client_id: 'b' }],
    'SELECT DISTINCT client_id FROM ads.daily AS t WHERE EXISTS (SELECT 1 FROM UNNEST([1, 2]) AS x WHERE x = t.n) ': [
      { client_id: 'a' },
    ],
    'SELECT TO_JSON_STRING(t) AS j FROM (SELECT client_id, n FROM ads.daily WHERE n = 3) AS t': [
      { j: '{"client_id":"b","n":3}' },
    ],
    'DECLARE n INT64 DEFAULT 100; SELECT MAX(n) AS column_first, MAX(x) AS x FROM ads.daily, UNNEST([n]) AS x;': [
      { column_first: 3, x: 3 },
    ],
  }
  for (const [sql, wanted] of Object.entries(table)) {
    const job = await run(at, sql)
    t.strictSame(errorOf(job) ?? (await job.getQueryResults())[0], wanted, sql)
  }
})

t.test('a table that wants a filter on its partitions gets one, in every statement', async t => {
  const at = await host(t)
  await load(await adsTable(at, { requirePartitionFilter: true }), [row('a', '2026-01-01', 1)])
  const filtered = "date BETWEEN DATE '2026-01-01' AND DATE '2026-01-31'"
  for (const sql of [
    `SELECT n FROM ads.daily WHERE ${filtered}`,
    `SELECT n FROM ads.daily AS t WHERE n > 0 AND (t.${filtered} OR t.date = '2026-03-01')`,
    `SELECT n FROM ads.daily WHERE date IN UNNEST([DATE '2026-01-01'])`,
    `UPDATE ads.daily SET n = 2 WHERE ${filtered}`,
    `DECLARE d DATE DEFAULT '2026-01-01'; SELECT n FROM ads.daily WHERE date >= d;`,
  ]) {
    t.equal(errorOf(await run(at, sql))?.message, undefined, sql)
  }
  for (const sql of [
    'SELECT n FROM ads.daily',
    "SELECT n FROM ads.daily WHERE client_id = 'a'",
    `SELECT n FROM ads.daily WHERE ${filtered} OR n = 1`,
    'SELECT n FROM ads.daily WHERE date >= (SELECT MIN(d) FROM UNNEST([DATE "2026-01-01"]) AS d)',
    'SELECT n FROM ads.daily AS t JOIN UNNEST([DATE "2026-01-01"]) AS d ON t.date = d',
    "DELETE FROM ads.daily WHERE client_id = 'a'",
    `SELECT x.n FROM ads.daily AS x, ads.daily AS y WHERE x.${filtered}`,
  ]) {
    t.match(
      errorOf(await run(at, sql))?.message,
      /Cannot query over table 'headrace-test\.ads\.daily' without a filter over column\(s\) 'date'/,
      sql,
    )
  }
})

t.test('what is wrong, or not known here, is refused and not guessed', async t => {
  const at = await host(t)
  await adsTable(at)
  const table: Record<string, RegExp> = {
    SELECT: /Syntax error: Expected an expression but got end of script at \[1:7\]/,
    'SELECT 1 FROM': /Syntax error/,
    'SELECT nope FROM ads.daily': /Unrecognized name: nope at \[1:8\]/,
    'SELECT d.nope FROM ads.daily AS d': /Name nope not found inside d/,
    'SELECT n FROM daily': /must be qualified with a dataset/,
    'SELECT n FROM other.ads.daily': /Access Denied/,
    'SELECT n FROM none.daily': /Not found: Dataset headrace-test:none/,
    'SELECT n, n FROM ads.daily': /Duplicate column names/,
    'SELECT n FROM ads.daily, ads.daily': /Duplicate table alias daily/,
    'SELECT 1 UNION SELECT 2': /Syntax error/,
    'SELECT COUNT(*) AS n': /SELECT without FROM clause cannot use aggregation/,
    'SELECT 1 AS x WHERE TRUE': /Query without FROM clause cannot have a WHERE clause/,
    'DELETE FROM ads.daily': /Expected WHERE/,
    'UPDATE ads.daily SET nope = 1 WHERE TRUE': /Column nope is not present/,
    "INSERT INTO ads.daily (client_id, client_id) VALUES ('a', 'b')": /appears more than once/,
    "INSERT INTO ads.daily (client_id) VALUES ('a')": /Required field date cannot be null/,
    "INSERT INTO ads.daily (client_id, date) VALUES ('a')": /wrong column count/,
    'SELECT (SELECT x FROM UNNEST([1, 2]) AS x) AS y': /more than one element/,
    'SELECT FARM_FINGERPRINT("a") AS x': /Function FARM_FINGERPRINT is not known to this local server/,
    'SELECT LIST_SORT([1]) AS x': /Function LIST_SORT is not known/,
    "SELECT DATE_TRUNC(DATE '2026-01-01', WEEK) AS x": /Date part WEEK is not known/,
    'SELECT 1::BIGINT AS x': /Illegal input character ":"/,
    'SELECT r"raw" AS x': /prefixed or triple-quoted literal is not known/,
    'SELECT "a\\q" AS x': /Illegal escape sequence/,
    'SELECT @@time_zone AS x': /@@time_zone is not known/,
    'LOOP SELECT 1; END LOOP': /begins with LOOP is not known/,
    'BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END': /is not known/,
    'CREATE TABLE ads.x AS SELECT 1 AS x': /Syntax error/,
    'CREATE TABLE ads.x (y INT64) OPTIONS (kms_key_name = "k")': /Option kms_key_name is not known/,
    'SET x = 1': /Undeclared variable: x/,
    'SELECT 1; DECLARE x INT64;': /DECLARE after another statement is not known/,
    'SELECT COUNT(n) OVER (ORDER BY n ROWS 1 PRECEDING) AS x FROM ads.daily': /A window frame is not known/,
  }
  for (const [sql, wanted] of Object.entries(table)) t.match(errorOf(await run(at, sql))?.message, wanted, sql)
})

t.test('tables are made, widened and dropped by statements too', async t => {
  const at = await host(t)
  await at.bq.createDataset('ads')
  const create = `CREATE TABLE ads.t (client_id STRING NOT NULL, date DATE NOT NULL, j JSON) PARTITION BY DATE_TRUNC(date, MONTH) CLUSTER BY client_id
    OPTIONS (require_partition_filter = TRUE, description = "d")`
  t.notOk(errorOf(await run(at, create)))
  t.match(errorOf(await run(at, create)), { reason: 'duplicate' })
  t.notOk(errorOf(await run(at, create.replace('TABLE', 'TABLE IF NOT EXISTS'))))
  t.notOk(errorOf(await run(at, 'ALTER TABLE ads.t ADD COLUMN n INT64, ADD COLUMN m NUMERIC')))
  t.notOk(errorOf(await run(at, 'ALTER TABLE ads.t ADD COLUMN IF NOT EXISTS n INT64')))
  const [metadata] = await at.bq.dataset('ads').table('t').getMetadata()
  t.match(metadata, {
    timePartitioning: { type: 'MONTH', field: 'date' },
    clustering: { fields: ['client_id'] },
    requirePartitionFilter: true,
    description: 'd',
  })
  t.equal(metadata.schema.fields.length, 5)
  t.notOk(errorOf(await run(at, 'DROP TABLE ads.t')))
  t.match(errorOf(await run(at, 'DROP TABLE ads.t')), { reason: 'notFound' })
  t.notOk(errorOf(await run(at, 'DROP TABLE IF EXISTS ads.t')))
  t.strictSame(await rowsOf(at, 'SELECT 1 AS x'), [{ x: 1 }])
})
