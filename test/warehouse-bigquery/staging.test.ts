import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { RequestFault } from '../servers/bigquery/faults.ts'
import { ad } from '../warehouse/kit.ts'
import { adLine, openArea } from './area.ts'

const ROWS = ['x', 'y', 'z'].map(name => ad('a', '2026-01-01', name))

t.test('the rows of an attempt are one load job into a table of its own', async t => {
  const { server, area, stage, staged, spooled } = await openArea(t)
  const { attemptId } = await stage(ROWS)
  t.same(Object.values(await staged()), [['x', 'y', 'z']])
  t.match(Object.keys(await staged())[0], new RegExp(`^rows_${attemptId.replaceAll('-', '_')}_1$`))
  t.match(area.find(attemptId), { rows: /^`headrace-test\.headrace_staging\.rows_/, rejects: undefined, jobs: 1 })
  t.equal(server.jobs.length, 1)
  t.match(server.jobs[0]?.configuration, {
    load: { maxBadRecords: 0, writeDisposition: 'WRITE_TRUNCATE', schema: { fields: [] } },
  })
  t.same(spooled(), [], 'what is loaded needs no place here')
})

t.test('an attempt without rows takes no job', async t => {
  const { server, area, stage } = await openArea(t)
  const { attemptId } = await stage([])
  t.match(area.find(attemptId), { rows: undefined, rejects: undefined, jobs: 0 })
  t.equal(server.jobs.length, 0)
})

t.test('what is discarded is gone, also when it never was sealed, and may be staged again', async t => {
  const { area, write, staged, spooled } = await openArea(t)
  const first = await write('one', [adLine('x')])
  t.equal(spooled().length, 1)
  await first.discard()
  t.same(spooled(), [])
  const second = await write('one', [adLine('y')])
  await second.seal()
  await second.discard()
  t.same(await staged(), {})
  t.equal(area.find('one'), undefined)
  await second.discard()
  const third = await write('one', [adLine('z')])
  await third.seal()
  t.same(Object.values(await staged()), [['z']])
})

const before = (effect: RequestFault['effect']) => effect
const FAULTS: readonly (readonly [string, RequestFault])[] = (
  [
    ['is answered with 503', { kind: 'error', reason: 'backendError', status: 503 }],
    ['is answered with 503 after it was done', { kind: 'error', reason: 'backendError', status: 503, after: true }],
    ['is refused for its rate', { kind: 'error', reason: 'rateLimitExceeded' }],
    ['is cut off', { kind: 'reset' }],
    ['is cut off after it was done', { kind: 'reset', after: true }],
    ['is answered by half', { kind: 'truncate' }],
    ['is answered by a proxy', { kind: 'proxy', status: 502 }],
    ['is answered by a proxy that says it is fine', { kind: 'proxy', status: 200 }],
  ] as const
).flatMap(([what, effect]) =>
  (['upload.start', 'upload.put', 'jobs.get'] as const).map(
    on => [`when ${on} ${what}`, { on, effect: before(effect) }] as const,
  ),
)

for (const [name, fault] of FAULTS) {
  t.test(`${name}, the rows are loaded all the same, once`, async t => {
    const { server, stage, staged } = await openArea(t)
    const armed = server.faults.add(fault)
    await stage(ROWS)
    t.equal(armed.fired, 1, 'it happened')
    t.same(Object.values(await staged()), [['x', 'y', 'z']])
    t.equal(server.jobs.length, 1, 'by one job')
  })
}

t.test('a server that does not answer is given up, and asked again', async t => {
  const { server, stage, staged } = await openArea(t, { requestSeconds: 0.3 })
  const armed = (['upload.start', 'upload.put', 'jobs.get'] as const).flatMap(on => [
    server.faults.add({ on, effect: { kind: 'hang' } }),
    server.faults.add({ on, effect: { kind: 'drip' }, skip: 1 }),
  ])
  await stage(ROWS)
  t.ok(armed.filter(({ fired }) => fired > 0).length >= 3)
  t.same(Object.values(await staged()), [['x', 'y', 'z']])
  t.equal(server.jobs.length, 1)
})

t.test('a server that never answers is a transient error', async t => {
  const { server, stage } = await openArea(t, { requestSeconds: 0.05, tries: 2 })
  server.faults.add({ on: 'any', effect: { kind: 'hang' }, times: 1_000 })
  await t.rejects(stage(ROWS), { code: 'WAREHOUSE_FAILED', message: /no answer within 0.05 s/ })
})

t.test('a load that BigQuery ends for a reason of its own is run again under another id', async t => {
  const { server, stage, staged } = await openArea(t)
  for (const reason of ['backendError', 'jobRateLimitExceeded', 'internalError'] as const) {
    server.faults.add({ on: 'job', job: 'LOAD', effect: { kind: 'error', reason } })
  }
  await stage(ROWS)
  t.same(
    server.jobs.map(({ id }) => id.slice(-3)),
    ['-a1', '-a2', '-a3', '-a4'],
  )
  t.same(Object.values(await staged()), [['x', 'y', 'z']])
})

t.test('a large upload goes part by part, and is taken up where it was cut', async t => {
  const { server, write, staged } = await openArea(t)
  const lines = Array.from({ length: 300 }, (_, index) => adLine(`n${index}`, { note: randomBytes(60_000).toString('base64') }))
  const staging = await write('large', lines)
  const armed = server.faults.add({ on: 'upload.put', effect: { kind: 'cut-upload', bytes: 3_000_000 }, skip: 1 })
  await staging.seal()
  t.equal(armed.fired, 1)
  const puts = server.log.filter(({ kind }) => kind === 'upload.put')
  t.ok(puts.length >= 4, `${puts.length} requests`)
  t.equal(server.log.filter(({ kind }) => kind === 'upload.start').length, 1, 'it did not begin anew')
  t.equal(Object.values(await staged())[0]?.length, 300)
})

t.test('an upload that has expired begins anew, under the same id', async t => {
  const { server, write, staged } = await openArea(t)
  const staging = await write('expired', [adLine('x')])
  let expire = true
  server.faults.add({ on: 'upload.put', effect: { kind: 'reset' } })
  const timer = setInterval(() => {
    if (expire && server.log.some(({ kind }) => kind === 'upload.put')) {
      expire = false
      server.expireUploads()
    }
  }, 1)
  t.teardown(() => clearInterval(timer))
  await staging.seal()
  t.same(Object.values(await staged()), [['x']])
  t.equal(server.jobs.length, 1)
})

t.test('fewer rows than were sent are no success', async t => {
  const { area, write } = await openArea(t)
  // Two lines that are said to be three.
  const staging = await area.stage({ ...(await import('../warehouse/kit.ts')).ads }, 'short')
  await staging.write(Buffer.from(`${adLine('x')}\n${adLine('y')}\n`), 3, '2026-01-01')
  await t.rejects(staging.seal(), { code: 'WAREHOUSE_FAILED', message: /3 rows sent, 2 loaded/ })
  t.equal(area.find('short'), undefined, 'and nothing of it can be published')
  await (await write('other', [adLine('x')])).seal()
})

t.test('the rows that BigQuery refuses are found and named', async t => {
  const { server, write, staged, spooled } = await openArea(t)
  const lines = Array.from({ length: 40 }, (_, index) =>
    adLine(`n${index}`, index === 7 || index === 33 ? { clicks: 'many' } : {}),
  )
  const staging = await write('refused', lines)
  await t.rejects(staging.seal(), {
    code: 'STAGED_UNREADABLE',
    message:
      /row 8 of 40, client_id "a", date "2026-01-01", name "n7" \(.*\); row 34 of 40, client_id "a", date "2026-01-01", name "n33"/,
  })
  await staging.discard()
  t.same(await staged(), {}, 'nothing is left of the search')
  t.same(spooled(), [])
  t.ok(server.jobs.length < 25, `${server.jobs.length} jobs`)
})

t.test('what dead attempts left is found by its name, on the server and on the disk', async t => {
  const { area, write, staged, spooled, server, spool } = await openArea(t)
  await (await write('dead-1', [adLine('x')])).seal()
  await write('dead-2', [adLine('x')])
  await (await write('alive-1', [adLine('y')])).seal()
  await server.query('CREATE TABLE headrace_staging.somebody_elses (name VARCHAR)')
  t.equal(await area.sweep(new Set(['alive-1'])), 2, spool)
  t.same(Object.keys(await staged()).sort(), ['rows_alive_1_3', 'somebody_elses'])
  t.same(spooled(), [])
})
