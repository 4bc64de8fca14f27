import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { addDays, daysOf } from '../lib/chunk.ts'
import { TransientError } from '../lib/errors.ts'
import type { Connector } from '../lib/index.ts'
import type { RunRequest } from '../lib/ledger/ledger.ts'
import { dayAt } from '../lib/plan/schedule.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from './support/ads.ts'
import { Calendar } from './support/calendar.ts'
import { published, startDaemon } from './support/daemon.ts'
import { rows } from './support/run.ts'

const CLIENTS = ['a', 'b', 'c']
const HOUR = 3_600_000
const NOON = Date.UTC(2026, 3, 1, 12)
const DAILY = [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }]

/** An API that has one record of every client and day there can be in these tests. */
function filledApi(now = Date.now()): AdsApi {
  const api = new AdsApi()
  const today = dayAt(now, 'UTC')
  for (const client of CLIENTS) {
    for (const day of daysOf({ from: addDays(today, -40), to: today })) api.set(client, day, [ad(client, day, 'x')])
  }
  return api
}

/** The connector of an API that takes its time. */
function slow(): Connector<AdRecord> {
  const source = filledApi().connector(10)
  return {
    ...source,
    async *pages(request) {
      await setTimeout(20)
      yield* source.pages(request)
    },
  }
}

/** A backfill of one client and day, as the ledger is asked for it. */
function backfillOf(pipeline: string): RunRequest {
  const window = { from: '2026-01-01', to: '2026-01-01' }
  const hashes = { schemaHash: '', pipelineHash: '' }
  return { command: 'backfill', pipeline, api: 'ads', window, clients: ['a'], force: false, missing: false, ...hashes }
}

t.test('what is due is read at start: every client, in the order of the pipelines, once', async t => {
  const source = filledApi().connector(10)
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: CLIENTS,
    pipelines: [
      adsPipeline(source, { name: 'spend', after: ['campaigns'], schedule: DAILY }),
      adsPipeline(source, { schedule: DAILY }),
    ],
  })
  const done = await daemon.logged(published(), 18)
  daemon.stop()
  t.equal(await daemon.ended, 0)
  const order = done.map(({ pipeline, client, from }) => ({ pipeline, key: `${client} ${from}` }))
  for (const { key } of order.filter(({ pipeline }) => pipeline === 'spend')) {
    const at = (of: string): number => order.findIndex(one => one.pipeline === of && one.key === key)
    t.ok(at('campaigns') < at('spend'), `${key}: the one before it was published first`)
  }
  t.same(new Set(order.map(({ pipeline, key }) => `${pipeline} ${key}`)).size, 18, 'nothing was read twice')
})

t.test('two daemons on one ledger share what is due, and begin it once', async t => {
  const folder = t.testdir()
  const pipelines = [adsPipeline(slow(), { schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 20 }] })]
  const two = ['one', 'two'].map(name =>
    startDaemon(t, { folder, clients: CLIENTS, pipelines, owner: `elsewhere ${name} 1`, settings: { concurrency: 2 } }),
  )
  const all = () => two.flatMap(({ lines }) => lines.filter(published()))
  await Promise.race(two.map(({ logged }) => logged(() => all().length === 60)))
  for (const daemon of two) daemon.stop()
  t.same(await Promise.all(two.map(({ ended }) => ended)), [0, 0])
  t.equal(two.flatMap(({ lines }) => lines.filter(({ event }) => event === 'run.started')).length, 1)
  t.equal(new Set(all().map(({ client, from }) => `${client} ${from}`)).size, 60)
  for (const { lines } of two) t.ok(lines.some(published()), 'both took their share')
  t.same(await rows(folder, 'SELECT count(*) AS rows FROM ads.campaigns'), [{ rows: '60' }])
})

t.test('everything that keeps it from starting is told at once', async t => {
  const folder = t.testdir()
  const source = filledApi().connector(10)
  const wrong = startDaemon(t, {
    folder,
    clients: CLIENTS,
    pipelines: [adsPipeline(source), adsPipeline(source, { name: 'spend' })],
  })
  await wrong.logged(({ event }) => event === 'daemon.started')
  wrong.stop()
  await wrong.ended
  await rows(folder, 'SELECT 1')
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))
  const connection = await instance.connect()
  for (const table of ['campaigns', 'spend']) await connection.run(`ALTER TABLE ads.${table} ADD COLUMN more_${table} VARCHAR`)
  connection.closeSync()
  instance.closeSync()
  const daemon = startDaemon(t, {
    folder,
    clients: CLIENTS,
    pipelines: [adsPipeline(source), adsPipeline(source, { name: 'spend' })],
  })
  await t.rejects(daemon.ended, {
    code: 'CONFIG_INVALID',
    message: /^TABLE_MISMATCH: .*more_campaigns.*\nTABLE_MISMATCH: .*more_spend/,
  })
})

t.test('a list of clients that cannot be had any more is told of, and the last one holds; a new client is read', async t => {
  const calendar = new Calendar(NOON, 60_000)
  let answer = async (): Promise<readonly string[]> => ['a']
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: () => answer(),
    pipelines: [adsPipeline(filledApi(NOON).connector(10), { schedule: DAILY })],
    calendar,
  })
  await calendar.run(daemon.logged(published('a'), 3))
  answer = async () => {
    throw new Error('the directory is down')
  }
  const [warning] = await calendar.run(daemon.logged(({ name }) => name === 'CLIENTS_OUTDATED'))
  t.match(warning, { message: /could not be obtained: the directory is down; going on with the 1 known before/ })
  answer = async () => ['a', 'b']
  await calendar.run(daemon.logged(published('b'), 3))
  daemon.stop()
  t.equal(await daemon.ended, 0)
})

t.test('a ledger that is away for a while does not end it: it says so, and goes on', async t => {
  let away = false
  const down = (): never => {
    throw new TransientError('LEDGER_FAILED', { message: 'connection refused' })
  }
  const pipelines = [adsPipeline(slow(), { schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 30 }] })]
  const folder = t.testdir()
  const daemon = startDaemon(t, {
    folder,
    clients: CLIENTS,
    pipelines,
    // So that there is enough left to read when it is back; what was under way waits for its lease.
    settings: { concurrency: 1 },
    // Pauses are short here; the number of tries is that of the daemon.
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      await setTimeout(Math.min(ms, 5))
    },
    wrap: ledger => ({
      ...ledger,
      claim: async (from, leaseMs) => (away ? down() : ledger.claim(from, leaseMs)),
      occasions: async pipeline => (away ? down() : ledger.occasions(pipeline)),
      published: async (...args) => (away ? down() : ledger.published(...args)),
    }),
  })
  await daemon.logged(published(), 5)
  away = true
  await daemon.logged(({ event }) => event === 'ledger.failed', 3)
  await daemon.logged(({ event }) => event === 'scheduler.failed', 3)
  away = false
  const before = daemon.lines.filter(published()).length
  await daemon.logged(published(), before + 1)
  const failures = await daemon.registry.getSingleMetric('headrace_daemon_failures_total')?.get()
  t.same(
    new Set(failures?.values.filter(({ value }) => value >= 3).map(({ labels }) => labels.part)),
    new Set(['engine', 'scheduler']),
  )
  daemon.stop()
  await daemon.ended
})

t.test('an API that is down for hours is asked again until it answers', async t => {
  const calendar = new Calendar(NOON, 60_000)
  const source = filledApi(NOON).connector(10)
  let asked = 0
  const flaky = {
    ...source,
    async *pages(request: Parameters<typeof source.pages>[0]) {
      asked++
      if (calendar.now() < NOON + 3 * HOUR) throw new TransientError('API_UNREACHABLE', { message: 'refused' })
      yield* source.pages(request)
    },
  }
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: ['a'],
    pipelines: [adsPipeline(flaky, { schedule: DAILY })],
    calendar,
  })
  await calendar.run(daemon.logged(published(), 3))
  t.ok(calendar.now() < NOON + 4.5 * HOUR, 'it is noticed within an hour or so')
  t.ok(asked < 40, `it is left alone in between: ${asked} times asked`)
  t.ok(daemon.lines.some(({ event }) => event === 'chunk.parked'))
  t.notOk(
    daemon.lines.some(({ event }) => event === 'chunk.failed'),
    'nothing was given up',
  )
  daemon.stop()
  t.equal(await daemon.ended, 0)
})

t.test('a pipeline that does not wait for one that has failed is told of, and the metrics show how chunks stand', async t => {
  const api = filledApi()
  const today = dayAt(Date.now(), 'UTC')
  for (const day of daysOf({ from: addDays(today, -10), to: today })) api.set('a', day, [ad('somebody-else', day, 'x')])
  const source = api.connector(10)
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: CLIENTS,
    pipelines: [
      adsPipeline(source, { name: 'spend', after: [{ pipeline: 'campaigns', policy: 'skip' }], schedule: DAILY }),
      adsPipeline(source, { schedule: DAILY }),
    ],
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      await setTimeout(Math.min(ms, 100))
    },
  })
  await daemon.logged(published(), 12)
  const skipped = await daemon.logged(({ event, pipeline }) => event === 'chunk.failed' && pipeline === 'spend', 3)
  t.match(skipped[0], {
    client: 'a',
    upstream: 'campaigns',
    upstreamCode: 'REJECTS_TOO_MANY',
    message: /not read, because campaigns has not published 1 of its days$/,
  })
  await daemon.logged(({ event }) => event === 'run.finished')
  const chunks = async () => {
    const values = (await daemon.registry.getSingleMetric('headrace_chunks')?.get())?.values ?? []
    return Object.fromEntries(values.map(({ labels, value }) => [`${labels.pipeline} ${labels.state}`, value]))
  }
  for (let found = await chunks(); found['campaigns published'] !== 0 || found['spend failed'] !== 3; found = await chunks())
    await setTimeout(50)
  t.match(await chunks(), {
    'campaigns held': 3,
    'campaigns pending': 0,
    'spend failed': 3,
    'spend pending': 0,
    'spend parked': 0,
  })
  daemon.stop()
  t.equal(await daemon.ended, 0)
})

t.test('a backfill that somebody else works on is seen in the metrics of the daemon until it is finished', async t => {
  const daemon = startDaemon(t, {
    folder: t.testdir(),
    clients: CLIENTS,
    pipelines: [adsPipeline(filledApi().connector(10))],
    sleep: async (ms, signal) => {
      signal.throwIfAborted()
      await setTimeout(Math.min(ms, 20))
    },
  })
  const wanted = backfillOf('campaigns')
  const run = await daemon.ledger.beginRun(wanted, [{ pipeline: 'campaigns', client: 'a', window: wanted.window }])
  const pending = async () => {
    const values = (await daemon.registry.getSingleMetric('headrace_backfill_chunks')?.get())?.values ?? []
    return values.find(({ labels }) => labels.pipeline === 'campaigns' && labels.state === 'pending')?.value
  }
  while ((await pending()) !== 1) await setTimeout(10)
  await daemon.ledger.finishRun(run.id)
  while ((await pending()) !== 0) await setTimeout(10)
  daemon.stop()
  t.equal(await daemon.ended, 0)
})

t.test('chunks of a pipeline that nobody here knows are left alone, and told of once', async t => {
  const folder = t.testdir()
  const source = filledApi().connector(10)
  const known = adsPipeline(source, { schedule: DAILY })
  const daemon = startDaemon(t, { folder, clients: CLIENTS, pipelines: [known] })
  const wanted = backfillOf('gone')
  await daemon.ledger.beginRun(wanted, [{ pipeline: 'gone', client: 'a', window: wanted.window }], { served: true })
  await daemon.logged(published(), 9)
  daemon.stop()
  t.equal(await daemon.ended, 0)
  const again = startDaemon(t, { folder, clients: CLIENTS, pipelines: [known] })
  const [warning] = await again.logged(({ name }) => name === 'PIPELINE_UNKNOWN')
  t.match(warning, { message: '1 chunks of gone wait, a pipeline that this configuration does not have' })
  again.stop()
  await again.ended
  t.match((await again.ledger.openProgress(true)).get('gone'), { pending: 1 })
})
