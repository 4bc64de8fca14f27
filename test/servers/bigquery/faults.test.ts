import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import t from 'tap'
import { adsTable, clientOf, done, errorOf, failure, host, load, row, rowsOf, run } from './kit.ts'
import type { BigQueryServer } from './server.ts'

const INSERT = "INSERT INTO ads.daily (client_id, date, n) VALUES ('c', DATE '2026-01-01', 9)"

t.test('an error before the work leaves nothing, an error after it leaves everything', async t => {
  const at = await host(t)
  await adsTable(at)
  const before = at.server.faults.add({ on: 'jobs.insert', effect: { kind: 'error', reason: 'backendError' } })
  t.match(await failure(run(at, INSERT, { jobId: 'j' })), { code: 503, errors: [{ reason: 'backendError' }] })
  t.match(await failure(at.bq.job('j').getMetadata()), { code: 404 })
  const after = at.server.faults.add({ on: 'jobs.insert', effect: { kind: 'error', reason: 'backendError', after: true } })
  t.match(await failure(run(at, INSERT, { jobId: 'j' })), { code: 503 })
  t.strictSame([before.fired, after.fired], [1, 1])
  await done(at.bq.job('j'))
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [{ n: 9 }], 'the job is there to be adopted')
})

t.test('a fault strikes where it is aimed, after so many have passed, and so often', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const limit = { kind: 'error', reason: 'rateLimitExceeded' } as const
  const fault = at.server.faults.add({ on: ['tables.get', 'jobs.insert'], effect: limit, skip: 1, times: 2 })
  const selective = at.server.faults.add({ on: 'any', effect: limit, sql: 'SELECT 7', job: 'QUERY' })
  const elsewhere = at.server.faults.add({ on: 'any', effect: limit, table: 'ads.other', times: Number.POSITIVE_INFINITY })
  await table.getMetadata()
  for (let n = 0; n < 2; n++)
    t.match(await failure(table.getMetadata()), { code: 403, errors: [{ reason: 'rateLimitExceeded' }] })
  await table.getMetadata()
  t.match(await failure(run(at, 'SELECT 7 AS x')), { code: 403 })
  t.notOk(errorOf(await run(at, 'SELECT 7 AS x')))
  t.strictSame([fault.fired, selective.fired, elsewhere.fired], [2, 1, 0])
  elsewhere.disarm()
  t.match(await failure(at.bq.dataset('ads').table('other').getMetadata()), { code: 404 })
})

t.test('a job fails with the reason it was given, with or without its work', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  at.server.faults.add({ on: 'job', job: 'LOAD', effect: { kind: 'error', reason: 'jobRateLimitExceeded' } })
  t.match(errorOf(await load(table, [row('a', '2026-01-01', 1)])), {
    reason: 'jobRateLimitExceeded',
    message: /Exceeded rate limits/,
  })
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [])
  at.server.faults.add({ on: 'job', sql: 'INSERT', effect: { kind: 'error', reason: 'backendError', after: true } })
  t.match(errorOf(await run(at, INSERT)), { reason: 'backendError' })
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [{ n: 9 }])
})

t.test('an answer is lost, cut in half, not JSON, or of another type', async t => {
  const at = await host(t)
  await adsTable(at)
  const ask = (): Promise<unknown> => at.bq.dataset('ads').table('daily').getMetadata()
  at.server.faults.add({ on: 'jobs.insert', effect: { kind: 'reset', after: true } })
  t.match(await failure(run(at, INSERT, { jobId: 'lost' })), { code: 'ECONNRESET' })
  await done(at.bq.job('lost'))
  t.strictSame(await rowsOf(at, 'SELECT n FROM ads.daily'), [{ n: 9 }])
  at.server.faults.add({ on: 'tables.get', effect: { kind: 'reset' } })
  t.match(await failure(ask()), { code: 'ECONNRESET' })
  at.server.faults.add({ on: 'tables.get', effect: { kind: 'truncate' } })
  await t.rejects(ask())
  at.server.faults.add({ on: 'tables.get', effect: { kind: 'proxy', status: 502 } })
  t.match(await failure(ask()), { code: 502 })
  for (const value of ['application/json; charset=utf-8', 'application/json', undefined]) {
    at.server.faults.add({ on: 'tables.get', effect: { kind: 'content-type', value } })
    await t.resolves(ask())
  }
})

t.test('a request may hang before its work or after it, or be answered byte by byte', async t => {
  const at = await host(t)
  await adsTable(at)
  const address = `${at.server.url}/bigquery/v2/projects/${at.server.project}`
  for (const [jobId, effect] of [
    ['before', { kind: 'hang' }],
    ['after', { kind: 'hang', after: true }],
    ['drip', { kind: 'drip' }],
  ] as const) {
    at.server.faults.add({ on: 'jobs.insert', effect })
    const body = JSON.stringify({ configuration: { query: { query: INSERT, useLegacySql: false } }, jobReference: { jobId } })
    await t.rejects(
      fetch(`${address}/jobs`, { method: 'POST', body, signal: AbortSignal.timeout(100) }).then(answer => answer.text()),
      {
        name: 'TimeoutError',
      },
    )
  }
  t.strictSame(
    at.server.jobs.map(({ id }) => id),
    ['after', 'drip'],
  )
})

t.test('an upload that is cut in the middle, or whose client leaves, is no job', async t => {
  const at = await host(t)
  const table = await adsTable(at)
  const rows = Array.from({ length: 20_000 }, (_, n) => row('a', '2026-01-01', n))
  const fault = at.server.faults.add({
    on: 'upload.multipart',
    job: 'LOAD',
    table: 'ads.daily',
    effect: { kind: 'cut-upload', bytes: 100_000 },
  })
  await t.rejects(load(table, rows, { jobId: 'big' }))
  t.equal(fault.fired, 1)
  t.equal(at.server.jobs.length, 0)
  t.notOk(errorOf(await load(table, rows, { jobId: 'big' })), 'the same id is free')
  at.server.faults.add({ on: 'upload.multipart', effect: { kind: 'reset', after: true } })
  await t.rejects(load(table, rows, { jobId: 'again' }))
  t.notOk(errorOf(await done(at.bq.job('again'))), 'and taken when only the answer was lost')
  t.strictSame(await rowsOf(at, 'SELECT COUNT(*) AS n FROM ads.daily'), [{ n: 40_000 }])
})

t.test('a hook sees every request come and go, and may destroy its connection at either moment', async t => {
  const seen: string[] = []
  let drop = ''
  const at = await host(t, {
    onRequest: ({ kind, jobId }, moment) => {
      seen.push(`${kind} ${moment}`)
      return `${jobId} ${moment}` === drop ? 'drop' : undefined
    },
  })
  await adsTable(at)
  t.strictSame(seen, ['datasets.insert arrived', 'datasets.insert done', 'tables.insert arrived', 'tables.insert done'])
  for (const moment of ['arrived', 'done']) {
    drop = `${moment} ${moment}`
    t.match(await failure(run(at, INSERT, { jobId: moment })), { code: 'ECONNRESET' })
  }
  t.strictSame(
    at.server.jobs.map(({ id }) => id),
    ['done'],
  )
  t.match(
    at.server.log.map(({ kind, jobId, status }) => ({ kind, jobId, status })),
    [
      { kind: 'datasets.insert', status: 200 },
      { kind: 'tables.insert', status: 200 },
      { kind: 'jobs.insert', jobId: 'arrived', status: 0 },
      { kind: 'jobs.insert', jobId: 'done', status: 0 },
    ],
  )
})

t.test('a job takes as long as the test wants', async t => {
  const at = await host(t, { latency: { QUERY: 40 } })
  const took = async (): Promise<number> => {
    const { statistics } = (await run(at, 'SELECT 1 AS x')).metadata
    return Number(statistics.endTime) - Number(statistics.startTime)
  }
  t.ok((await took()) >= 39)
  at.server.setLatency({ QUERY: 0 })
  at.server.faults.add({ on: 'job', effect: { kind: 'delay', ms: 40 } })
  t.ok((await took()) >= 39)
})

/** Starts a server in a process of its own and returns what it says of itself. */
async function apart(options: object): Promise<{ child: ChildProcess; server: BigQueryServer }> {
  const child = spawn(process.execPath, [new URL('serve.ts', import.meta.url).pathname, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { child, server: JSON.parse(String(line)) }
}

t.test('a server may be a process of its own, is told its faults over the wire, and ends with who started it', async t => {
  const { child, server } = await apart({ project: 'apart' })
  t.equal(server.project, 'apart')
  const armed = await fetch(`${server.url}/_faults`, {
    method: 'POST',
    body: JSON.stringify({ on: 'datasets.insert', effect: { kind: 'error', reason: 'quotaExceeded' } }),
  })
  t.equal(armed.status, 200)
  const bq = clientOf(server)
  t.match(await failure(bq.createDataset('ads')), { code: 403, errors: [{ reason: 'quotaExceeded' }] })
  await bq.createDataset('ads')
  t.strictSame(await (await fetch(`${server.url}/_faults`)).json(), { fired: [1] })
  child.stdin?.end()
  t.strictSame(await once(child, 'exit'), [0, null])
})
