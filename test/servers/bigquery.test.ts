import { BigQuery } from '@google-cloud/bigquery'
import { PassThroughClient } from 'google-auth-library'
import t from 'tap'
import { adsTable, FIELDS, failure, host, load, row, rowsOf, run } from './bigquery/kit.ts'

t.test('a table is created as it was asked for, and described with the names of old', async t => {
  const at = await host(t)
  const table = await adsTable(at, { clustering: { fields: ['client_id'] }, requirePartitionFilter: true, labels: { a: 'b' } })
  const [metadata] = await table.getMetadata()
  t.match(metadata, {
    kind: 'bigquery#table',
    id: 'headrace-test:ads.daily',
    tableReference: { projectId: 'headrace-test', datasetId: 'ads', tableId: 'daily' },
    type: 'TABLE',
    numRows: '0',
    location: 'US',
    timePartitioning: { type: 'DAY', field: 'date' },
    clustering: { fields: ['client_id'] },
    requirePartitionFilter: true,
    labels: { a: 'b' },
    schema: {
      fields: [
        { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
        { name: 'date', type: 'DATE', mode: 'REQUIRED' },
        { name: 'n', type: 'INTEGER', mode: 'NULLABLE' },
        { name: 'cost', type: 'NUMERIC', mode: 'NULLABLE' },
      ],
    },
  })
  t.notOk(
    'streamingBuffer' in metadata || 'expirationTime' in metadata || 'description' in metadata,
    'what is not there is absent',
  )
})

t.test('a name is taken once, and names differ by case', async t => {
  const at = await host(t)
  await adsTable(at)
  const again = await failure(at.bq.dataset('ads').createTable('daily', { schema: FIELDS }))
  t.match(again, { code: 409, errors: [{ reason: 'duplicate' }], message: /Already Exists: Table headrace-test:ads.daily/ })
  t.match(await failure(at.bq.createDataset('ads')), { code: 409, errors: [{ reason: 'duplicate' }] })
  t.strictSame(await at.bq.dataset('ads').table('Daily').exists(), [false])
  t.match(await failure(at.bq.dataset('ads').createTable('Daily', { schema: FIELDS })), { code: 501 })
})

t.test('what is not there is 404 notFound', async t => {
  const at = await host(t)
  t.match(await failure(at.bq.dataset('ads').getMetadata()), { code: 404, errors: [{ reason: 'notFound' }] })
  await at.bq.createDataset('ads')
  const missing = await failure(at.bq.dataset('ads').table('daily').getMetadata())
  t.match(missing, { code: 404, message: /Not found: Table headrace-test:ads.daily/, errors: [{ reason: 'notFound' }] })
  t.match(await failure(at.bq.job('nothing').getMetadata()), { code: 404 })
})

t.test('a patch widens a table, and only with the etag of what it changes', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  await load(table, [row('a', '2026-01-01', 1)])
  const [{ etag }] = await table.getMetadata()
  const wider = [
    ...FIELDS.map(field => ({ ...field, mode: field.name === 'client_id' ? 'NULLABLE' : (field.mode ?? 'NULLABLE') })),
    { name: 'note', type: 'JSON' },
  ]
  await table.setMetadata({ schema: { fields: wider }, etag })
  t.match(await failure(table.setMetadata({ description: 'late', etag })), { code: 412 })
  const [after] = await table.getMetadata()
  t.match(after.schema.fields.at(-1), { name: 'note', type: 'JSON', mode: 'NULLABLE' })
  t.equal(after.schema.fields[0].mode, 'NULLABLE')
  t.strictSame(await at.server.query('SELECT client_id, note FROM ads.daily'), [{ client_id: 'a', note: null }])
  for (const [why, fields] of [
    ['Field note is missing', FIELDS.map(field => ({ ...field, mode: 'NULLABLE' }))],
    ['has changed type', wider.map(field => (field.name === 'n' ? { ...field, type: 'STRING' } : field))],
    ['has changed mode', wider.map(field => (field.name === 'n' ? { ...field, mode: 'REQUIRED' } : field))],
    ['Cannot add required fields', [...wider, { name: 'x', type: 'STRING', mode: 'REQUIRED' }]],
  ] as const) {
    t.match(await failure(table.setMetadata({ schema: { fields: [...fields] } })), { code: 400, message: new RegExp(why) })
  }
})

t.test('a table lives as long as its dataset says, an hour at least', async t => {
  const at = await host(t)
  t.match(await failure(at.bq.createDataset('short', { defaultTableExpirationMs: '1000' })), { code: 400 })
  await at.bq.createDataset('ads', { defaultTableExpirationMs: '3600000' })
  const [table] = await at.bq.dataset('ads').createTable('daily', { schema: FIELDS })
  const [{ expirationTime, creationTime }] = await table.getMetadata()
  t.equal(Number(expirationTime) - Number(creationTime), 3_600_000)
  at.server.clock.advance(3_600_001)
  t.strictSame(await table.exists(), [false])
  t.strictSame((await at.bq.dataset('ads').getTables())[0], [])
  t.match(await failure(rowsOf(at, 'SELECT n FROM ads.daily')), { message: /Not found: Table headrace-test:ads.daily/ })
  await at.bq.dataset('ads').createTable('daily', { schema: FIELDS })
})

t.test('tables are listed by page, and a dataset in use is deleted only by force', async t => {
  const at = await host(t)
  await at.bq.createDataset('ads')
  for (const name of ['c', 'a', 'b']) await at.bq.dataset('ads').createTable(name, { schema: FIELDS })
  const [first, next] = await at.bq.dataset('ads').getTables({ maxResults: 2, autoPaginate: false })
  t.strictSame(
    first.map(({ id }) => id),
    ['a', 'b'],
  )
  const [second] = await at.bq.dataset('ads').getTables({ ...next, autoPaginate: false })
  t.strictSame(
    second.map(({ id }) => id),
    ['c'],
  )
  t.match(await failure(at.bq.dataset('ads').delete()), { code: 400, errors: [{ reason: 'resourceInUse' }] })
  await at.bq.dataset('ads').table('a').delete()
  t.strictSame(await at.bq.dataset('ads').table('a').exists(), [false])
  await at.bq.dataset('ads').delete({ force: true })
  t.strictSame(await at.bq.dataset('ads').exists(), [false])
})

t.test('rows of every type come back exact', async t => {
  const at = await host(t)
  await at.bq.createDataset('ads')
  const types = ['STRING', 'INT64', 'FLOAT64', 'BOOL', 'NUMERIC', 'DATE', 'DATETIME', 'TIME', 'TIMESTAMP', 'JSON']
  const fields = types.map(type => ({ name: type.toLowerCase(), type }))
  const [table] = await at.bq.dataset('ads').createTable('all', { schema: { fields } })
  const media =
    '{"string":"a\\u0000\\n\\"ü😀 {{projectId}}","int64":"9223372036854775807","float64":0.1,"bool":true,"numeric":"-12345678901234567890123456789.123456789",' +
    '"date":"0001-01-01","datetime":"2026-01-02T03:04:05.000001","time":"23:59:59.999999","timestamp":"9999-12-31T23:59:59.999999Z","json":{"a":[1,null]}}\n{}\n'
  t.notOk((await load(table, media)).metadata.status.errorResult)
  const wanted = [
    {
      string: 'a\0\n"ü😀 {{projectId}}',
      int64: { value: '9223372036854775807' },
      float64: 0.1,
      bool: true,
      date: { value: '0001-01-01' },
      datetime: { value: '2026-01-02T03:04:05.000001' },
      time: { value: '23:59:59.999999' },
      timestamp: { value: '9999-12-31T23:59:59.999999000Z' },
      json: '{"a":[1,null]}',
    },
    Object.fromEntries(types.map(type => [type.toLowerCase(), null])),
  ]
  const [job] = await at.bq.createQueryJob({ query: 'SELECT * FROM ads.all ORDER BY string DESC' })
  const [queried] = await job.getQueryResults({ wrapIntegers: true })
  const [listed] = await table.getRows({ wrapIntegers: true })
  for (const rows of [queried, listed]) {
    t.equal(rows[0].numeric.toFixed(), '-12345678901234567890123456789.123456789')
    // The integers of the client refuse to be looked at when they are large; as JSON they do not.
    t.match(JSON.parse(JSON.stringify(rows)), wanted)
  }
})

t.test('results come in pages, each row once', async t => {
  const at = await host(t, { switches: { pageRows: 3 } })
  const query = 'SELECT x FROM UNNEST(GENERATE_ARRAY(1, 10)) AS x ORDER BY x'
  t.strictSame(
    await rowsOf(at, query),
    Array.from({ length: 10 }, (_, index) => ({ x: index + 1 })),
  )
  const pages = at.server.log.filter(({ kind }) => kind === 'jobs.getQueryResults')
  t.equal(pages.length, 4)
  t.strictSame((await at.bq.query(query))[0].length, 10, 'jobs.query too')
  const job = await run(at, query)
  const [some] = await job.getQueryResults({ maxResults: 2, startIndex: '8', autoPaginate: false })
  t.strictSame(some, [{ x: 9 }, { x: 10 }])
})

t.test('an empty result has no rows but its columns', async t => {
  const at = await host(t)
  const [, , response] = await (await run(at, 'SELECT 1 AS x, CAST(NULL AS DATE) AS y LIMIT 0')).getQueryResults({
    autoPaginate: false,
  })
  t.match(response, {
    totalRows: '0',
    schema: {
      fields: [
        { name: 'x', type: 'INTEGER' },
        { name: 'y', type: 'DATE' },
      ],
    },
  })
  t.notOk(response && 'rows' in response)
})

t.test('both roots of the API are served, and the doubled one of uploads', async t => {
  const at = await host(t)
  await adsTable(at)
  const { url } = at.server
  for (const root of [`${url}/bigquery/v2`, url]) {
    const answer = await fetch(`${root}/projects/headrace-test/datasets/ads/tables/daily%2420260101`)
    t.equal(answer.headers.get('content-type'), 'application/json; charset=UTF-8')
    t.match(await answer.json(), { id: 'headrace-test:ads.daily' })
  }
  const start = await fetch(`${url}/bigquery/v2/upload/bigquery/v2/projects/headrace-test/jobs?uploadType=resumable`, {
    method: 'POST',
    body: '{}',
  })
  t.equal(start.status, 400, 'a configuration is missing, but the address is known')
  t.equal((await fetch(`${url}/bigquery/v2/projects/other/datasets`)).status, 404)
})

t.test('a job of another location is not found, and one without a location only in the US and the EU', async t => {
  const at = await host(t, { location: 'europe-west6' })
  const [job] = await at.bq.createQueryJob({ query: 'SELECT 1 AS x', jobId: 'mine' })
  t.match((await job.getMetadata())[0].jobReference, { jobId: 'mine', location: 'europe-west6' })
  const nowhere = new BigQuery({
    projectId: at.server.project,
    autoRetry: false,
    apiEndpoint: at.server.url,
    authClient: new PassThroughClient(),
  })
  t.match(await failure(nowhere.job('mine').getMetadata()), { code: 404 })
  t.match(await failure(at.bq.job('mine', { location: 'US' }).getMetadata()), { code: 404 })
})
