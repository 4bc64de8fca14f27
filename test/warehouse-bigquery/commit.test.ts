import t, { type Test } from 'tap'
import { bigquery, TransientError } from '../../lib/index.ts'
import { stageDraft, undisturbed } from '../../lib/testing/stage.ts'
import type { BigQueryOptions } from '../../lib/warehouse/bigquery/options.ts'
import { GroupRefused, type Member } from '../../lib/warehouse/warehouse.ts'
import type { RequestEffect } from '../servers/bigquery/faults.ts'
import { committing } from '../support/committer.ts'
import { ad, ads, TOTALS } from '../warehouse/kit.ts'
import { type BigQueryHost, openBigQuery } from './hosts.ts'

const DAY = '2026-01-01'

async function open(t: Test, options: BigQueryOptions = {}): Promise<BigQueryHost> {
  const host = await openBigQuery(options)
  t.teardown(() => host.close())
  await host.warehouse.prepare(ads, { create: true }, undisturbed)
  return host
}

function staged(
  { warehouse }: Pick<BigQueryHost, 'warehouse'>,
  client: string,
  names: readonly string[],
  more = {},
): Promise<Member> {
  const rows = names.map(name => ad(client, DAY, name))
  return stageDraft(warehouse, ads, { client, from: DAY, totals: TOTALS, rows, ...more })
}

async function shown(host: BigQueryHost): Promise<string[]> {
  return (await host.rows(ads)).map(row => `${row.client_id} ${row.name}`).sort()
}

/** What a promise is rejected with. */
async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

/** The jobs that committed, or tried to. */
function commits({ server }: BigQueryHost): { readonly id: string; readonly error: unknown }[] {
  return server.jobs.filter(({ id }) => id.startsWith('headrace-commit'))
}

// Many commits, each a script of some twenty statements.
t.setTimeout(120_000)

const EFFECTS: readonly (readonly [string, RequestEffect])[] = [
  ['is answered with 503', { kind: 'error', reason: 'backendError', status: 503 }],
  ['is answered with 503 after it was done', { kind: 'error', reason: 'backendError', status: 503, after: true }],
  ['is refused for its rate', { kind: 'error', reason: 'rateLimitExceeded' }],
  ['is cut off', { kind: 'reset' }],
  ['is cut off after it was done', { kind: 'reset', after: true }],
  ['is answered by half', { kind: 'truncate' }],
  ['is answered by a proxy', { kind: 'proxy', status: 502 }],
]

for (const [what, effect] of EFFECTS) {
  t.test(`when a request of a commit ${what}, the commit happens once and is told of`, async t => {
    const host = await open(t)
    const { server, warehouse } = host
    for (const [index, on] of (['jobs.insert', 'jobs.get', 'jobs.getQueryResults'] as const).entries()) {
      const member = await staged(host, 'a', [on])
      const armed = server.faults.add({ on, effect })
      const [publication] = await warehouse.commit(ads, TOTALS, [member], undisturbed)
      t.equal(armed.fired, 1, on)
      t.match(publication, { outcome: 'published', deleted: index === 0 ? 0 : 1, inserted: 1 })
      t.same(await shown(host), [`a ${on}`])
      t.equal(commits(host).length, index + 1, 'by one job')
    }
  })
}

t.test('a commit whose answers hang is found again, and not repeated', async t => {
  const host = await open(t, { requestSeconds: 0.4 })
  const member = await staged(host, 'a', ['x'])
  host.server.faults.add({ on: 'jobs.insert', effect: { kind: 'hang', after: true } })
  host.server.faults.add({ on: 'jobs.getQueryResults', effect: { kind: 'drip' } })
  t.match(await host.warehouse.commit(ads, TOTALS, [member], undisturbed), [{ outcome: 'published', inserted: 1 }])
  t.equal(commits(host).length, 1)
})

t.test('the same commit again is the same job, found by its id', async t => {
  const host = await open(t)
  const members = [await staged(host, 'a', ['x']), await staged(host, 'b', ['y'])]
  const first = await host.warehouse.commit(ads, TOTALS, members, undisturbed)
  const second = await host.warehouse.commit(ads, TOTALS, members, undisturbed)
  t.same(second, first)
  t.equal(commits(host).length, 1)
})

t.test('a commit that BigQuery aborts for another one is tried again under another id, and not split', async t => {
  const host = await open(t)
  const members = [await staged(host, 'a', ['x']), await staged(host, 'b', ['y'])]
  const message = 'Query error: Transaction is aborted due to concurrent update against table p:d.t. Transaction ID: 1 at [24:9]'
  host.server.faults.add({ on: 'job', job: 'QUERY', effect: { kind: 'error', reason: 'invalidQuery', message }, times: 2 })
  await host.warehouse.commit(ads, TOTALS, members, undisturbed)
  t.same(
    commits(host).map(({ id }) => id.slice(-3)),
    ['-a1', '-a2', '-a3'],
  )
  t.same(await shown(host), ['a x', 'b y'])
})

t.test('two processes that commit one table at the same time leave what the newest wrote', async t => {
  const host = await open(t)
  const other = { warehouse: bigquery(host.options) }
  for (let round = 1; round <= 3; round++) {
    const older = await staged(host, 'a', [`older ${round}`, 'same'], { generation: 10 * round })
    const newer = await staged(other, 'a', [`newer ${round}`], { generation: 10 * round + 1 })
    const results = await Promise.allSettled([
      host.warehouse.commit(ads, TOTALS, [older], undisturbed),
      other.warehouse.commit(ads, TOTALS, [newer], undisturbed),
    ])
    t.equal(results[1]?.status, 'fulfilled')
    // The older one came first, or was refused.
    if (results[0]?.status === 'rejected') t.ok(results[0].reason instanceof GroupRefused)
    t.same(await shown(host), [`a newer ${round}`])
  }
})

t.test('what is staged may expire: its member is refused by name, the others are published', async t => {
  const host = await open(t)
  const members = [await staged(host, 'a', ['x']), await staged(host, 'b', ['y'])]
  const [lost, kept] = members
  const suffix = lost?.attemptId.replaceAll('-', '_') ?? ''
  const name = host.server.log.map(({ table }) => table).find(table => table?.includes(suffix))
  const address = `${host.server.url}/bigquery/v2/projects/${host.server.project}/datasets/${name?.replace('.', '/tables/')}`
  t.equal((await fetch(address, { method: 'DELETE' })).status, 204)
  const error = await thrownBy(host.warehouse.commit(ads, TOTALS, members, undisturbed))
  const refused = error instanceof GroupRefused ? [...error.refused] : []
  t.match(refused, [[lost?.attemptId, { code: 'WAREHOUSE_FAILED', message: /what was staged is gone/ }]])
  t.same(await shown(host), [])
  if (kept !== undefined) await host.warehouse.commit(ads, TOTALS, [kept], undisturbed)
  t.same(await shown(host), ['b y'])
})

t.test('nothing is deleted where nothing was, and what a commit cost is told', async t => {
  const types: string[] = []
  const host = await openBigQuery(
    {},
    { onStatement: ({ jobId, type }) => void (jobId.startsWith('headrace-commit') && types.push(type)) },
  )
  t.teardown(() => host.close())
  await host.warehouse.prepare(ads, { create: true }, undisturbed)
  const members = [await staged(host, 'a', ['x']), await staged(host, 'b', ['y'])]
  const first = await host.warehouse.commit(ads, TOTALS, members, undisturbed)
  t.notOk(types.includes('DELETE'))
  t.same(first.map(({ cost }) => cost?.jobs).toSorted(), [1, 2], 'a load each, and one commit for both')
  const billed = first.reduce((sum, { cost }) => sum + (cost?.bytesBilled ?? 0), 0)
  t.ok(billed > 10 * 2 ** 20 && billed % 2 ** 20 === 0, `${billed} bytes are what the whole group was billed`)
  await host.warehouse.commit(ads, TOTALS, [await staged(host, 'a', ['z'])], undisturbed)
  t.ok(types.includes('DELETE'))
})

t.test('a statement above the ceiling is not run, and says so', async t => {
  const host = await open(t)
  const cheap = { warehouse: bigquery({ ...host.options, maximumBytesBilled: 1_000_000 }) }
  const member = await staged(cheap, 'a', ['x'])
  await t.rejects(cheap.warehouse.commit(ads, TOTALS, [member], undisturbed), {
    code: 'WAREHOUSE_CEILING',
    message: /bytes billed/,
    hint: /Rolled back.*maximumBytesBilled/,
  })
  await t.rejects(cheap.warehouse.clients(ads, undisturbed), { code: 'WAREHOUSE_CEILING' })
  t.same(await shown(host), [])
})

t.test('fifty chunks that fit under the ceiling by halves are published by three commits, not by fifty', async t => {
  // Every staged table counts 10 MiB, the table and what is beside it as much.
  const host = await open(t, { maximumBytesBilled: 300 * 2 ** 20 })
  const ended: string[] = []
  const publish = committing(host.warehouse, {
    groupChunks: 50,
    onCommitted: ({ members, outcome }) => void ended.push(`${members} ${outcome}`),
  })
  const members = await Promise.all(Array.from({ length: 51 }, (_, index) => staged(host, `client ${index}`, ['x'])))
  await Promise.all(members.map(member => publish(ads, TOTALS, member)))
  t.same(ended, ['50 refused', '25 published', '25 published', '1 published'])
  t.equal((await shown(host)).length, 51)
})

t.test('a quota that is used up parks the chunk for ten minutes', async t => {
  const host = await open(t)
  const member = await staged(host, 'a', ['x'])
  host.server.faults.add({ on: 'jobs.insert', effect: { kind: 'error', reason: 'quotaExceeded' }, times: 10 })
  const before = Date.now()
  const error = await thrownBy(host.warehouse.commit(ads, TOTALS, [member], undisturbed))
  t.match(error, { code: 'WAREHOUSE_FAILED', hint: /quota/ })
  t.ok(error instanceof TransientError && (error.notBefore ?? 0) >= before + 600_000)
  t.equal(
    host.server.log.filter(({ kind, jobId }) => kind === 'jobs.insert' && jobId?.includes('commit')).length,
    1,
    'it was not asked again',
  )
})

t.test('a commit that does not end is cancelled, and leaves the table as it was', async t => {
  const host = await open(t)
  await host.warehouse.commit(ads, TOTALS, [await staged(host, 'a', ['old'])], undisturbed)
  const hasty = { warehouse: bigquery({ ...host.options, jobSeconds: 0.5 }) }
  const member = await staged(hasty, 'a', ['new'])
  host.server.faults.add({ on: 'job', job: 'QUERY', effect: { kind: 'stuck' } })
  await t.rejects(hasty.warehouse.commit(ads, TOTALS, [member], undisturbed), { code: 'WAREHOUSE_FAILED' })
  t.ok(host.server.log.some(({ kind }) => kind === 'jobs.cancel'))
  t.same(await shown(host), ['a old'])
})

t.test('a commit is not begun when it is no longer wanted, a read ends', async t => {
  const host = await open(t)
  const member = await staged(host, 'a', ['x'])
  const signal = AbortSignal.abort(new Error('no longer'))
  await t.rejects(host.warehouse.commit(ads, TOTALS, [member], { ...undisturbed, signal }), { message: 'no longer' })
  const stop = new AbortController()
  host.server.faults.add({ on: 'job', effect: { kind: 'stuck' } })
  const reading = host.warehouse.clients(ads, { ...undisturbed, signal: stop.signal })
  stop.abort()
  await t.rejects(reading, { name: 'AbortError' })
})

t.test('a hundred clients are published by one job', async t => {
  const host = await open(t)
  const members = await Promise.all(Array.from({ length: 100 }, (_, index) => staged(host, `client ${index}`, ['x', 'y'])))
  t.equal((await host.warehouse.commit(ads, TOTALS, members, undisturbed)).length, 100)
  t.equal(commits(host).length, 1)
  t.equal((await shown(host)).length, 200)
})
