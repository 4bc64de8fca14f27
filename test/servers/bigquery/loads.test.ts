import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { adsTable, errorOf, FIELDS, failure, type Host, host, load, row } from './kit.ts'

const count = async ({ server }: Host, table = 'ads.daily'): Promise<number> =>
  Number((await server.query(`SELECT count(*) AS n FROM ${table}`))[0]?.n)

t.test('a load puts in all rows, and says how many', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const job = await load(table, [row('a', '2026-01-01', 1), row('b', '2026-01-02', 2)], { jobId: 'ld-1' })
  t.match(job.metadata, {
    kind: 'bigquery#job',
    id: 'headrace-test:US.ld-1',
    jobReference: { projectId: 'headrace-test', jobId: 'ld-1', location: 'US' },
    configuration: { jobType: 'LOAD', load: { sourceFormat: 'NEWLINE_DELIMITED_JSON' } },
    statistics: { load: { outputRows: '2', badRecords: '0', inputFiles: '1' } },
    status: { state: 'DONE' },
  })
  t.equal(await count(at), 2)
})

t.test('one bad row of any kind fails the whole load, with its place and field', async t => {
  const at = await host(t)
  const fields = ['STRING', 'INT64', 'FLOAT64', 'BOOL', 'NUMERIC', 'DATE', 'TIMESTAMP', 'DATETIME', 'TIME', 'BYTES']
  const schema = { fields: fields.map(type => ({ name: type.toLowerCase(), type })) }
  await at.bq.createDataset('ads')
  const [table] = await at.bq.dataset('ads').createTable('all', { schema })
  const good = '{"int64":1}\n'
  const bad: Record<string, readonly string[]> = {
    string: ['1', 'true', '{}', '"\\ud800"'],
    int64: ['"x"', '1.5', '"9223372036854775808"', '9007199254740993', 'true'],
    float64: ['"x"', 'true'],
    bool: ['1', '"yes"'],
    numeric: ['"1e400"', '"0.1234567891"', '"123456789012345678901234567890"', '12345678901234567.89', 'true', '""'],
    date: ['"2026-02-30"', '"0000-01-01"', '"2026-1-1"', '1', '"2026-01-01T00:00:00Z"'],
    timestamp: ['"2026-01-01T25:00:00Z"', '"yesterday"', '"2026-01-01T00:00:00.1234567Z"'],
    datetime: ['"2026-01-01T00:00:00Z"'],
    time: ['"24:00:00"'],
    bytes: ['"*"', '"abc"'],
  }
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      const job = await load(table, `${good}{"${field}":${value}}\n`)
      t.equal(errorOf(job)?.reason, 'invalid', `${field} ${value}`)
      const [, , detail] = job.metadata.status.errors
      t.match(
        detail.message,
        new RegExp(`JSON parsing error in row starting at position ${good.length}: .* Field: ${field}; Value: `),
      )
    }
  }
  t.equal(await count(at, 'ads.all'), 0, 'nothing of them is in')
})

t.test('fields that are unknown, missing or null where they must not be, and lines that are no rows, are named', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  for (const [line, message] of [
    ['{"client_id":"a","date":"2026-01-01","x":1}', 'No such field: x.'],
    ['{"client_id":"a","date":"2026-01-01","N":1}', 'No such field: N.'],
    ['{"client_id":"a"}', 'Missing required field: date.'],
    ['{"client_id":null,"date":"2026-01-01"}', 'Only optional fields can be set to NULL. Field: client_id; Value: NULL'],
    ['{"client_id":"a"', 'Parser terminated before end of string'],
    ['[]', 'Parser terminated before end of string'],
  ] as const) {
    const job = await load(table, `${line}\n`)
    t.ok(job.metadata.status.errors.at(-1).message.endsWith(`position 0: ${message}`), line)
  }
  const ignoring = await load(table, '{"client_id":"a","date":"2026-01-01","x":1}\n', { ignoreUnknownValues: true })
  t.notOk(errorOf(ignoring))
  t.equal(await count(at), 1)
})

t.test('of many bad rows five errors are told at most', async t => {
  const at = await host(t)
  const job = await load(await adsTable(at), '{}\n'.repeat(20))
  const { errorResult, errors } = job.metadata.status
  t.match(errorResult, {
    reason: 'invalid',
    message: /too many errors, giving up\. Rows: \d+; errors: \d+\. Please look into the errors\[\]/,
  })
  t.equal(errors.length, 5)
  t.strictSame(errors[0], errorResult)
})

t.test('compressed media is recognised by its bytes, in one piece or several', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const pieces = ['a', 'b'].map(client => gzipSync(`${JSON.stringify(row(client, '2026-01-01', 1))}\n`))
  t.notOk(errorOf(await load(table, Buffer.concat(pieces))))
  t.equal(await count(at), 2)
  t.equal(errorOf(await load(table, Buffer.concat(pieces).subarray(0, -12)))?.reason, 'invalid', 'half of it is none')
  t.equal(await count(at), 2)
})

t.test('the dispositions do what they say', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  await load(table, [row('a', '2026-01-01', 1)])
  await load(table, [row('b', '2026-01-01', 1)], { writeDisposition: 'WRITE_APPEND' })
  t.equal(await count(at), 2)
  t.match(errorOf(await load(table, [row('c', '2026-01-01', 1)], { writeDisposition: 'WRITE_EMPTY' })), { reason: 'duplicate' })
  await load(table, [row('d', '2026-01-01', 1)], { writeDisposition: 'WRITE_TRUNCATE' })
  t.strictSame(await at.server.query('SELECT client_id FROM ads.daily'), [{ client_id: 'd' }])
  const fresh = at.bq.dataset('ads').table('fresh')
  t.match(
    errorOf(await load(fresh, [row('a', '2026-01-01', 1)], { schema: { fields: FIELDS }, createDisposition: 'CREATE_NEVER' })),
    { reason: 'notFound' },
  )
  t.match(errorOf(await load(fresh, [row('a', '2026-01-01', 1)])), { reason: 'invalid', message: /No schema/ })
  t.match(errorOf(await load(fresh, '{}\n', { schema: { fields: FIELDS } })), { reason: 'invalid' })
  t.strictSame(await fresh.exists(), [false], 'a load that fails leaves no table')
  await load(fresh, [row('a', '2026-01-01', 1)], { schema: { fields: FIELDS } })
  t.equal(await count(at, 'ads.fresh'), 1)
  await load(fresh, '{"x":"1"}\n', { schema: { fields: [{ name: 'x', type: 'INT64' }] }, writeDisposition: 'WRITE_TRUNCATE' })
  t.strictSame(await at.server.query('FROM ads.fresh'), [{ x: '1' }])
  t.match((await fresh.getMetadata())[0].schema.fields, [{ name: 'x', type: 'INTEGER' }])
  const other = await load(table, '{"x":1}\n', { schema: { fields: [{ name: 'x', type: 'INT64' }] } })
  t.match(errorOf(other), {
    message: /Provided Schema does not match Table headrace-test:ads\.daily\. Cannot add fields \(field: x\)/,
  })
})

t.test('a partition is replaced by its decorator, and rows of another one are refused', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  await load(table, [row('a', '2026-01-01', 1), row('a', '2026-01-02', 2)])
  const partition = at.bq.dataset('ads').table('daily$20260101')
  t.notOk(errorOf(await load(partition, [row('b', '2026-01-01', 3)], { writeDisposition: 'WRITE_TRUNCATE' })))
  const left = [
    { client_id: 'b', n: '3' },
    { client_id: 'a', n: '2' },
  ]
  t.strictSame(await at.server.query('SELECT client_id, n FROM ads.daily ORDER BY date'), left)
  const fresh = at.bq.dataset('ads').table('fresh$20260101')
  const partitioned = {
    schema: { fields: FIELDS },
    timePartitioning: { type: 'DAY', field: 'date' },
    writeDisposition: 'WRITE_TRUNCATE',
  }
  t.match(errorOf(await load(fresh, [row('b', '2026-01-02', 4)], partitioned)), { message: /different partitions/ })
  t.strictSame(await at.bq.dataset('ads').table('fresh').exists(), [false], 'a table that was made for it is gone')
  const foreign = await load(partition, [row('b', '2026-01-01', 4), row('b', '2026-01-02', 4)], {
    writeDisposition: 'WRITE_TRUNCATE',
  })
  t.match(errorOf(foreign), { reason: 'invalid', message: /different partitions/ })
  t.strictSame(await at.server.query('SELECT client_id, n FROM ads.daily ORDER BY date'), left)
})

t.test('of two uploads with one job id the second is refused, and nothing of it is loaded', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  await load(table, [row('a', '2026-01-01', 1)], { jobId: 'same' })
  t.match(await failure(load(table, [row('b', '2026-01-01', 1)], { jobId: 'same' })), {
    code: 409,
    message: /Already Exists: Job headrace-test:US\.same/,
    errors: [{ reason: 'duplicate' }],
  })
  t.equal(await count(at), 1)
})

/** A resumable upload by hand: the client has none. */
async function resumable(
  { server }: Host,
  jobId: string,
): Promise<(range: string | undefined, part: Buffer) => Promise<Response>> {
  const configuration = {
    load: {
      destinationTable: { projectId: server.project, datasetId: 'ads', tableId: 'daily' },
      sourceFormat: 'NEWLINE_DELIMITED_JSON',
    },
  }
  const start = await fetch(`${server.url}/upload/bigquery/v2/projects/${server.project}/jobs?uploadType=resumable`, {
    method: 'POST',
    headers: { 'content-type': 'application/json; charset=UTF-8', 'x-upload-content-type': '*/*' },
    body: JSON.stringify({ configuration, jobReference: { projectId: server.project, jobId } }),
  })
  const address = start.headers.get('location') ?? ''
  return (range, part) =>
    fetch(address, {
      method: 'PUT',
      redirect: 'manual',
      headers: range === undefined ? {} : { 'content-range': `bytes ${range}` },
      body: new Uint8Array(part),
    })
}

const QUANTUM = 262_144

/** Rows that are longer than two quanta together, compressed or not. */
function longRows(): Buffer {
  const rows = Array.from({ length: 3 }, (_, n) => JSON.stringify(row(randomBytes(QUANTUM / 2).toString('hex'), '2026-01-01', n)))
  return Buffer.from(`${rows.join('\n')}\n`)
}

t.test('a resumable upload is taken up where it stopped', async t => {
  const at = await host(t)
  await adsTable(at)
  const put = await resumable(at, 'big')
  const media = longRows()
  const total = media.length
  const asked = await put(`*/${total}`, Buffer.alloc(0))
  t.equal(asked.status, 308)
  t.equal(asked.headers.get('range'), null, 'nothing is stored')
  const first = await put(`0-${QUANTUM - 1}/${total}`, media.subarray(0, QUANTUM))
  t.equal(first.status, 308)
  t.equal(first.headers.get('range'), `bytes=0-${QUANTUM - 1}`)
  t.equal((await put(`${QUANTUM}-${QUANTUM + 9}/${total}`, media.subarray(QUANTUM, QUANTUM + 10))).status, 400, 'no quantum')
  const gap = await put(`${2 * QUANTUM}-${3 * QUANTUM - 1}/${total}`, media.subarray(0, QUANTUM))
  t.equal(gap.status, 400, 'a gap')
  at.server.faults.add({ on: 'upload.put', effect: { kind: 'cut-upload', bytes: 100 } })
  await t.rejects(put(`${QUANTUM}-${total - 1}/${total}`, media.subarray(QUANTUM)))
  t.equal((await put(`*/${total}`, Buffer.alloc(0))).headers.get('range'), `bytes=0-${QUANTUM - 1}`)
  const last = await put(`${QUANTUM}-${total - 1}/${total}`, media.subarray(QUANTUM))
  t.match(await last.json(), { kind: 'bigquery#job', jobReference: { jobId: 'big' } })
  const again = await put(`*/${total}`, Buffer.alloc(0))
  t.match(await again.json(), { jobReference: { jobId: 'big' } }, 'who asks again is told the same')
  await at.server.jobs[0]?.finished
  t.equal(at.server.jobs[0]?.error, undefined)
  t.equal(await count(at), 3)
  t.equal(at.server.jobs.length, 1)
})

t.test('a resumable upload may come whole, and is gone when it has expired', async t => {
  const at = await host(t)
  await adsTable(at)
  const put = await resumable(at, 'whole')
  const media = Buffer.from(`${JSON.stringify(row('a', '2026-01-01', 1))}\n`)
  t.equal((await put(undefined, media)).status, 200)
  await at.server.jobs[0]?.finished
  t.equal(await count(at), 1)
  const late = await resumable(at, 'late')
  at.server.expireUploads()
  t.equal((await late(undefined, media)).status, 404)
})

t.test('a malformed upload is refused before its media', async t => {
  const at = await host(t)
  const address = `${at.server.url}/upload/bigquery/v2/projects/${at.server.project}/jobs`
  const post = (query: string, type: string, body: string): Promise<Response> =>
    fetch(`${address}?${query}`, { method: 'POST', headers: { 'content-type': type }, body })
  t.equal((await post('uploadType=media', 'text/plain', 'x')).status, 400)
  t.equal((await post('uploadType=multipart', 'application/json', '{}')).status, 400)
  const parts = (...all: string[]): string =>
    `--B\r\n${all.map(part => `Content-Type: x\r\n\r\n${part}`).join('\r\n--B\r\n')}\r\n--B--`
  const related = 'multipart/related; boundary="B"'
  const load = JSON.stringify({ configuration: { load: { sourceFormat: 'NEWLINE_DELIMITED_JSON' } } })
  t.equal((await post('uploadType=multipart', related, parts('{'))).status, 400)
  t.equal((await post('uploadType=multipart', related, parts('{}', 'x'))).status, 400, 'no configuration')
  t.equal((await post('uploadType=multipart', related, parts(load))).status, 400, 'no media')
  t.equal((await post('uploadType=multipart', related, parts(load, 'x', 'y'))).status, 400, 'three parts')
  t.equal(at.server.jobs.length, 0)
  t.equal(
    (await post('uploadType=multipart', related, `${parts(load, '{}')}\r\n`)).status,
    200,
    'a quoted boundary and a last line end are fine',
  )
})
