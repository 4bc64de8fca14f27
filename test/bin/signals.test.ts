import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import t, { type Test } from 'tap'
import { never } from './api.ts'
import { MAY, type Project, project } from './project.ts'

/** Every day of every client is there whole or not at all. */
async function nothingHalf(t: Test, { query }: Project, complete: boolean): Promise<void> {
  const days = await query('SELECT client_id, date, count(*)::INTEGER AS rows FROM shop.ads GROUP BY ALL')
  t.ok(
    days.every(({ rows }) => rows === 2),
    'no day is half published',
  )
  if (complete) t.equal(days.length, 6, 'every day of every client is there')
}

/** The same command finishes what is left, and table and ledger agree. */
async function finishes(t: Test, it: Project): Promise<void> {
  const ran = await it.backfill()
  t.equal(ran.code, 0, 'the same command finishes the rest')
  await nothingHalf(t, it, true)
  t.equal((await it.headrace('verify')).code, 0, 'the table is as the ledger says')
}

for (const [moment, parts] of Object.entries({
  'the configuration is loading': { before: "console.error('now'); await new Promise(resolve => setTimeout(resolve, 100_000))" },
  'the list of clients is fetched': {
    clients: "signal => { console.error('now'); return fetch(source_url, { signal }) }",
    before: 'const source_url = process.env.SLOW_API',
  },
  'the list of clients is fetched by a function that does not listen': {
    clients: "() => { console.error('now'); return new Promise(resolve => setTimeout(resolve, 100_000)) }",
  },
})) {
  t.test(`a signal while ${moment} ends with 130 at once`, async t => {
    const { start, folder, api } = await project(t, parts, () => never)
    const running = start(['backfill', ...MAY], { env: { SLOW_API: api.url } })
    await running.said('now')
    running.process.kill('SIGINT')
    const ran = await running.ended
    t.equal(ran.code, 130)
    t.match(ran.stderr, 'ABORTED: stopped before anything was read\n  Nothing was written.\n')
    t.notOk(existsSync(join(folder, 'warehouse.duckdb')))
  })
}

t.test('a signal at any page lets chunks under way finish, and the same command reads the rest', async t => {
  for (const [request, signal] of [
    [1, 'SIGTERM'],
    [3, 'SIGINT'],
    [6, 'SIGTERM'],
  ] as const) {
    const it = await project(t, { settings: 'concurrency: 1,' })
    const running = it.start(['backfill', ...MAY])
    it.api.script = async () => {
      if (it.api.asked.length === request) {
        running.process.kill(signal)
        // The page comes when the drain is under way.
        await running.said('stopping: ')
      }
      return undefined
    }
    const ran = await running.ended
    t.equal(ran.code, request === 6 ? 0 : 130, `${signal} at request ${request}`)
    t.match(ran.stderr, 'stopping: what is under way is finished first, within 30 s; a second signal gives it up\n')
    if (ran.code === 130) t.match(ran.stdout, 'Interrupted after a clean drain; the same command goes on from here.')
    t.match(ran.stdout, /published +\d/, 'what was under way is published')
    await finishes(t, it)
  }
})

t.test('a second signal gives up pages that do not come', async t => {
  const it = await project(t, {}, ({ from }) => (from === '2025-05-02' ? never : undefined))
  const running = it.start(['backfill', ...MAY, '--json'])
  await it.api.request(({ from, client }) => from === '2025-05-02' && client === 'globex')
  running.process.kill('SIGINT')
  await running.said('stopping: ')
  running.process.kill('SIGINT')
  const ran = await running.ended
  t.equal(ran.code, 130)
  t.match(ran.json(), { exitCode: 130, problems: [] })
  await nothingHalf(t, it, false)
  it.api.script = () => undefined
  await finishes(t, it)
})

t.test('a third signal does not wait for a connector that listens to none', async t => {
  const it = await project(t, {
    pipeline: `source: defineConnector({
      name: 'deaf',
      async *pages() {
        console.error('reading')
        yield await new Promise(resolve => setTimeout(resolve, 100_000, []))
      },
    }),`,
  })
  const running = it.start(['backfill', ...MAY])
  await running.said('reading')
  for (const answer of ['stopping: ', 'giving up what is under way; a third signal leaves at once', '']) {
    running.process.kill('SIGINT')
    await running.said(answer)
  }
  t.equal((await running.ended).code, 1)
  await it.configure({})
  await finishes(t, it)
})

t.test('a drain that takes too long gives up by itself', async t => {
  const it = await project(t, { settings: 'drainSeconds: 0.1,' }, () => never)
  const running = it.start(['backfill', ...MAY])
  await it.api.request(() => true)
  running.process.kill('SIGTERM')
  t.equal((await running.ended).code, 130)
  it.api.script = () => undefined
  await finishes(t, it)
})

t.test('a commit that has begun is finished, whatever the number of signals', async t => {
  const it = await project(t, {
    before: `
const inner = duckdb({ path: new URL('warehouse.duckdb', import.meta.url).pathname })
// Once: another chunk may have been staged by the time of the signals, and its commit waits for none.
const released = new Promise(resolve => process.once('SIGUSR2', resolve))
const slow = { ...inner, commit: async (...args) => {
  console.error('committing')
  await released
  return inner.commit(...args)
} }
const alive = setInterval(() => {}, 1_000)`,
    warehouse: "'unused' }) && Object.assign({}, slow, {",
  })
  const running = it.start(['backfill', ...MAY, '--clients', 'acme', '--concurrency', '1'])
  await running.said('committing')
  running.process.kill('SIGINT')
  await running.said('stopping: ')
  running.process.kill('SIGINT')
  running.process.kill('SIGUSR2')
  const ran = await running.ended
  t.equal(ran.code, 130)
  await nothingHalf(t, it, false)
  await it.configure({})
  await finishes(t, it)
})

t.test('a backfill that waits for the warehouse can be interrupted, before it reads and while it commits', async t => {
  const it = await project(t)
  const hold = async (): Promise<DuckDBInstance> => DuckDBInstance.create(join(it.folder, 'warehouse.duckdb'))
  const first = await hold()
  const early = it.start(['backfill', ...MAY])
  await early.said(/WAREHOUSE_WAITING: .*warehouse\.duckdb is held by .*; waiting for it/)
  early.process.kill('SIGINT')
  t.equal((await early.ended).code, 130)
  t.equal(it.api.asked.length, 0)
  first.closeSync()

  let second: DuckDBInstance | undefined
  it.api.script = async () => {
    second ??= await hold()
    return undefined
  }
  const late = it.start(['backfill', ...MAY])
  await late.said('WAREHOUSE_WAITING')
  late.process.kill('SIGTERM')
  await late.said('stopping: ')
  late.process.kill('SIGTERM')
  t.equal((await late.ended).code, 130)
  second?.closeSync()
  it.api.script = () => undefined
  await finishes(t, it)
})
