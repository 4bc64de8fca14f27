import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { undisturbed } from '../../lib/testing/stage.ts'
import { stagedAs } from '../../lib/warehouse/bigquery/staging.ts'
import type { RequestFault } from '../servers/bigquery/faults.ts'
import { ad } from '../warehouse/kit.ts'
import { adLine, openArea } from './area.ts'

const ROWS = ['x', 'y', 'z'].map(name => ad('a', '2026-01-01', name))

t.test('the rows of an attempt are one load job into a table of its own', async t => {
  const { server, stage, staged, spooled } = await openArea(t)
  const { attemptId, receipt } = await stage(ROWS)
  t.same(Object.values(await staged()), [['x', 'y', 'z']])
  t.match(Object.keys(await staged())[0], new RegExp(`^rows_${attemptId.replaceAll('-', '_')}_1$`))
  t.match(stagedAs(receipt), { rows: /^`headrace-test\.headrace_staging\.rows_/, jobs: 1 })
  t.notOk('rejects' in stagedAs(receipt))
  t.equal(server.jobs.length, 1)
  t.match(server.jobs[0]?.configuration, {
    load: { maxBadRecords: 0, writeDisposition: 'WRITE_TRUNCATE', schema: { fields: [] } },
  })
  t.same(spooled(), [], 'what is loaded needs no place here')
})

t.test('an attempt without rows takes no job', async t => {
  const { server, stage } = await openArea(t)
  const { receipt } = await stage([])
  t.same(stagedAs(receipt), { jobs: 0 })
  t.equal(server.jobs.length, 0)
})

t.test('what is discarded is gone, also when it never was sealed, and may be staged again', async t => {
  const { write, staged, spooled } = await openArea(t)
  const first = await write('one', [adLine('x')])
  t.equal(spooled().length, 1)
  await first.discard()
  t.same(spooled(), [])
  const second = await write('one', [adLine('y')])
  await second.seal()
  await second.discard()
  t.same(await staged(), {})
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
  await (await write('other', [adLine('x')])).seal()
})

/** Lines of which some are refused. */
function linesBut(count: number, refused: readonly number[]): string[] {
  return Array.from({ length: count }, (_, index) => adLine(`n${index}`, refused.includes(index) ? { clicks: 'many' } : {}))
}

t.test('the rows that BigQuery refuses are found, and the others loaded into another table', async t => {
  const { server, write, staged, spooled } = await openArea(t)
  const staging = await write('refused', linesBut(40, [7, 33]))
  await t.rejects(staging.seal(), { code: 'STAGED_UNREADABLE', message: /BigQuery refuses what was staged: .* Field: clicks/ })
  const refused = await staging.sift(undisturbed)
  t.match(refused, [
    {
      row: { name: 'n7', clicks: 'many', cost: '0.5', note: null },
      line: Buffer.from(`${linesBut(40, [7])[7]}\n`),
      column: 'clicks',
    },
    { row: { name: 'n33' }, reason: 'is refused by BigQuery: Could not convert value to integer. Field: clicks; Value: many' },
  ])
  t.equal(refused.length, 2)
  t.same(await staged(), {}, 'nothing is left of the search')
  t.equal(spooled().length, 1, 'but what is still to be loaded')
  t.ok(server.jobs.length < 25, `${server.jobs.length} jobs`)
  await staging.reject([{ day: '2026-01-01', column: 'clicks', rule: 'warehouse', value: '"many"', reason: 'x', record: '{}' }])
  const { receipt } = await staging.seal()
  t.match(stagedAs(receipt), { rows: /rows_refused_\d+`$/, rejects: /rejects_refused_\d+`$/ })
  const rows = await server.query(`SELECT name FROM ${stagedAs(receipt).rows?.replaceAll('`', '').split('.').slice(1).join('.')}`)
  t.equal(rows.length, 38)
  await staging.discard()
  t.same(await staged(), {})
  t.same(spooled(), [])
})

t.test('a search that BigQuery fails in is a failure that may pass, and nothing of it is left', async t => {
  const { server, write, staged, spooled } = await openArea(t, { tries: 2 })
  const staging = await write('failing', linesBut(40, [7]))
  await t.rejects(staging.seal(), { code: 'STAGED_UNREADABLE' })
  server.faults.add({ on: 'job', job: 'LOAD', effect: { kind: 'error', reason: 'backendError' }, skip: 2, times: 1_000 })
  await t.rejects(staging.sift(undisturbed), { code: 'WAREHOUSE_FAILED' })
  t.equal(spooled().length, 1)
  await staging.discard()
  t.same(await staged(), {})
  t.same(spooled(), [])
})

t.test('answers that are lost in a search change nothing of what it finds', async t => {
  const { server, write } = await openArea(t)
  const staging = await write('lossy', linesBut(40, [7, 8]))
  await t.rejects(staging.seal(), { code: 'STAGED_UNREADABLE' })
  const armed = (['upload.start', 'upload.put', 'jobs.get'] as const).map(on =>
    server.faults.add({ on, effect: { kind: 'reset', after: true }, times: 3 }),
  )
  t.same(
    (await staging.sift(undisturbed)).map(({ row }) => row.name),
    ['n7', 'n8'],
  )
  t.same(
    armed.map(({ fired }) => fired),
    [3, 3, 3],
  )
})

t.test("rejects that BigQuery does not take are nobody else's fault", async t => {
  const { write } = await openArea(t)
  const staging = await write('bad-reject', linesBut(3, []))
  await staging.reject([{ day: 'never', column: null, rule: 'x', value: null, reason: 'x', record: '{}' }])
  await t.rejects(staging.seal(), { code: 'STAGED_UNREADABLE', message: /rejects_bad_reject.*Field: day/ })
  t.same(await staging.sift(undisturbed), [])
})

t.test('what dead attempts left is found by its name, on the server and on the disk', async t => {
  const { area, write, staged, spooled, server, spool } = await openArea(t)
  await (await write('dead-1', [adLine('x')])).seal()
  await write('dead-2', [adLine('x')])
  await (await write('alive-1', [adLine('y')])).seal()
  writeFileSync(join(spool, 'rows_dead_3_1_part2.ndjson.gz'), 'of a search that was killed')
  await server.query('CREATE TABLE headrace_staging.somebody_elses (name VARCHAR)')
  t.equal(await area.sweep(async () => new Set(['alive-1'])), 3, spool)
  t.match(Object.keys(await staged()).sort(), [/^rows_alive_1_\d$/, 'somebody_elses'])
  t.same(spooled(), [])
})
