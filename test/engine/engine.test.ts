import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { daysOf, splitWindow } from '../../lib/chunk.ts'
import { openWorker, type Worker } from '../../lib/engine/worker.ts'
import { TransientError } from '../../lib/errors.ts'
import { type Connector, createLog, defineConfig, duckdb, type Options, type Pipeline, type RunEvent } from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { Served } from '../../lib/ledger/served.ts'
import { requestOf } from '../../lib/plan/plan.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { openLedger, rows } from '../support/run.ts'

const WINDOW = { from: '2026-03-01', to: '2026-03-03' }
const CLIENTS = ['a', 'b', 'c', 'd']

function filledApi(): AdsApi {
  const api = new AdsApi()
  for (const client of CLIENTS) for (const day of daysOf(WINDOW)) api.set(client, day, [ad(client, day, 'x')])
  return api
}

interface Opened {
  readonly folder: string
  readonly worker: Worker
  readonly ledger: Ledger
  readonly served: Served
  readonly events: RunEvent[]
  readonly stop: AbortController
  readonly abort: AbortController
  /** Begins a served run of every client and day, and returns its id. */
  serve(pipeline: Pipeline): Promise<string>
  /** Resolves when so many chunks have ended. */
  ended(chunks: number): Promise<void>
}

/** A worker over real files, stopped and closed with the test. */
async function open(
  t: Test,
  pipelines: readonly Pipeline[],
  settings: Partial<Options> = {},
  wrap: (ledger: Ledger) => Ledger = ledger => ledger,
): Promise<Opened> {
  const folder = t.testdir()
  const ledger = openLedger(folder)
  const stop = new AbortController()
  const abort = new AbortController()
  const events: RunEvent[] = []
  let heard = (): void => undefined
  const config = defineConfig({
    pipelines,
    clients: CLIENTS,
    warehouse: duckdb({ path: join(folder, 'warehouse.duckdb') }),
    ledger: wrap(ledger),
    settings: { retryBaseSeconds: 0, ...settings },
  })
  const worker = await openWorker(config, pipelines, () => CLIENTS, {
    log: createLog('silent'),
    registry: new Registry(),
    observe: event => {
      events.push(event)
      heard()
    },
    control: { stop: stop.signal, abort: abort.signal },
  })
  for (const pipeline of pipelines) await worker.prepare(pipeline)
  t.teardown(async () => {
    await worker.close()
    await ledger.close()
  })
  const ends = (): number => events.filter(({ type }) => type === 'chunk').length
  return {
    folder,
    worker,
    ledger,
    events,
    stop,
    abort,
    served: {
      pipelines: pipelines.map(({ name }) => ({ name, atOnce: config.settings.pipelineConcurrency, after: [] })),
      perAccount: config.settings.accountConcurrency,
    },
    async serve(pipeline) {
      const request = requestOf(worker.compiled(pipeline), { window: WINDOW, clients: CLIENTS, force: false, missing: false })
      const chunks = CLIENTS.flatMap(client =>
        splitWindow(WINDOW, 1).map(window => ({ pipeline: pipeline.name, client, window })),
      )
      const run = await ledger.beginRun(request, chunks, { served: true })
      if (run === undefined) throw new Error('nothing began')
      return run.id
    },
    async ended(chunks) {
      while (ends() < chunks) {
        const { promise, resolve } = Promise.withResolvers<void>()
        heard = resolve
        await promise
      }
    },
  }
}

const calm = { onAttempt: async () => undefined, onTrouble: async () => undefined }

/** A connector whose pages of one client come only when they are let. */
function hanging(api: AdsApi, client: string, until: Promise<void>): Connector<AdRecord> {
  const source = api.connector(10)
  return {
    ...source,
    async *pages(request) {
      if (request.client === client) {
        const aborted = new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)))
        await Promise.race([until, aborted])
      }
      yield* source.pages(request)
    },
  }
}

/** A connector that fails for one client. */
function failing(api: AdsApi, client: string): Connector<AdRecord> {
  const source = api.connector(10)
  return {
    ...source,
    async *pages(request) {
      if (request.client === client) throw new TransientError('API_FAILED', { message: 'down' })
      yield* source.pages(request)
    },
  }
}

t.test('one process works on everything that is served, whatever its pipeline, until it is told to stop', async t => {
  const source = filledApi().connector(10)
  const pipelines = [adsPipeline(source), adsPipeline(source, { name: 'spend' })]
  const it = await open(t, pipelines)
  const done = it.worker.work(it.served, calm)
  for (const pipeline of pipelines) await it.serve(pipeline)
  await it.ended(24)
  it.stop.abort()
  t.equal(await done, 0, 'nothing was given up')
  t.same(await rows(it.folder, 'SELECT (SELECT count(*) FROM ads.campaigns) AS one, (SELECT count(*) FROM ads.spend) AS two'), [
    { one: '12', two: '12' },
  ])
  t.equal(await it.ledger.finishServed(), 2)
})

t.test('a client whose API hangs keeps no other waiting, and is read when it answers', async t => {
  const let_ = Promise.withResolvers<void>()
  const source = hanging(filledApi(), 'a', let_.promise)
  const pipelines = [adsPipeline(source), adsPipeline(source, { name: 'spend' })]
  // Both pipelines ask one API: what hangs is one account, and takes one of two slots.
  const it = await open(t, pipelines, { concurrency: 2, accountConcurrency: 1 })
  for (const pipeline of pipelines) await it.serve(pipeline)
  const done = it.worker.work(it.served, calm)
  await it.ended(18)
  t.notOk(
    it.events.some(event => event.type === 'chunk' && event.chunk.client === 'a'),
    'all others are through',
  )
  let_.resolve()
  await it.ended(24)
  it.stop.abort()
  await done
  t.same(await rows(it.folder, "SELECT count(*) AS rows FROM ads.campaigns WHERE client_id = 'a'"), [{ rows: '3' }])
})

t.test('a client whose records are held, or whose API fails, keeps no other waiting', async t => {
  const api = filledApi()
  for (const day of daysOf(WINDOW)) api.set('b', day, [ad('somebody-else', day, 'x')])
  const pipeline = adsPipeline(failing(api, 'c'))
  const it = await open(t, [pipeline], { attempts: 2 })
  const run = await it.serve(pipeline)
  const done = it.worker.work(it.served, calm)
  // 6 chunks are published, 3 held, and 3 fail twice and are left alone for a while.
  await it.ended(15)
  it.stop.abort()
  await done
  t.match(await it.ledger.progress(run), { published: 6, held: 3, parked: 3 })
  t.equal(await it.ledger.finishServed(), 0, 'they are not over')
})

t.test('what is given up when it is told to is counted, and free for the next', async t => {
  const pipeline = adsPipeline(hanging(filledApi(), 'a', new Promise(() => undefined)))
  const it = await open(t, [pipeline], { concurrency: 2, accountConcurrency: 1 })
  const run = await it.serve(pipeline)
  const done = it.worker.work(it.served, calm)
  await it.ended(9)
  it.stop.abort()
  it.abort.abort()
  t.equal(await done, 1)
  t.match(await it.ledger.progress(run), { published: 9, pending: 3, running: 0 })
})

t.test('a ledger that fails for a while is told of, and the work goes on', async t => {
  const source = filledApi().connector(10)
  const pipeline = adsPipeline(source)
  const troubles: unknown[] = []
  let fails = 3
  const down = (): never => {
    throw new TransientError('LEDGER_FAILED', { message: 'away' })
  }
  const it = await open(t, [pipeline], {}, ledger => ({
    ...ledger,
    claim: async (from, leaseMs) => (fails-- > 0 ? down() : ledger.claim(from, leaseMs)),
  }))
  await it.serve(pipeline)
  const done = it.worker.work(it.served, { ...calm, onTrouble: async error => void troubles.push(error) })
  await it.ended(12)
  it.stop.abort()
  await done
  t.match(troubles, [{ code: 'LEDGER_FAILED' }, { code: 'LEDGER_FAILED' }, { code: 'LEDGER_FAILED' }])
})

/** Reads one chunk, of two answers, in a process that stands still for six seconds before the first; `lost` says which leases it has lost by then. */
async function stoodStill(t: Test, lost: (attemptIds: readonly string[]) => string[]) {
  let asked = 0
  const server = createServer((_, response) => {
    asked++
    // Nothing of this process ran until now, not even the beat that renews its leases.
    if (asked === 1) t.intercept(performance, 'now', { value: () => begun + 6_000 })
    response.setHeader('content-type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const pipeline = adsPipeline({
    name: 'ads',
    async *pages({ http, client, window }) {
      for (let page = 0; page < 2; page++) {
        await http.json(url)
        yield [ad(client, window.from, `x${page}`)]
      }
    },
  })
  const it = await open(t, [pipeline], { leaseSeconds: 5, concurrency: 1, stagedChunks: 1 }, ledger => ({
    ...ledger,
    renew: async attemptIds => lost(attemptIds),
  }))
  const begun = performance.now()
  await it.serve(pipeline)
  const done = it.worker.work(it.served, calm)
  await it.ended(1)
  it.stop.abort()
  await done
  const [first] = it.events.filter(({ type }) => type === 'chunk')
  return { first, asked }
}

t.test('a process that stood still for longer than its lease, and has lost it, asks for nothing more of the chunk', async t => {
  const { first, asked } = await stoodStill(t, attemptIds => [...attemptIds])
  t.match(first, { error: { code: 'LEASE_LOST' } })
  t.equal(asked, 1, 'by now others may be asking for the same account')
})

t.test('a process that stood still, and cannot learn whose its chunk is by now, asks for nothing more of it', async t => {
  const { first, asked } = await stoodStill(t, () => {
    throw new TransientError('LEDGER_FAILED', { message: 'away' })
  })
  t.match(first, { error: { code: 'LEASE_LOST' } })
  t.equal(asked, 1)
})

t.test('a process that stood still for longer than its lease, which nobody has taken, goes on', async t => {
  const { first, asked } = await stoodStill(t, () => [])
  t.match(first, { state: 'published', error: null })
  t.equal(asked, 2)
})

t.test('an attempt that fails while another process takes its chunk over is over, and the work goes on', async t => {
  const pipeline = adsPipeline(failing(filledApi(), 'c'))
  let takenOver = 3
  const it = await open(t, [pipeline], {}, ledger => ({
    ...ledger,
    async settle(...settled) {
      await ledger.settle(...settled)
      // As if somebody else had done so.
      if (takenOver-- > 0) await ledger.settle(...settled)
    },
  }))
  const troubles: unknown[] = []
  await it.serve(pipeline)
  const done = it.worker.work(it.served, { ...calm, onTrouble: async error => void troubles.push(error) })
  // 9 chunks are published, and 3 fail three times.
  await it.ended(18)
  it.stop.abort()
  await done
  const codes = it.events.flatMap(event => (event.type === 'chunk' && event.chunk.client === 'c' ? [event.error?.code] : []))
  t.same(codes.toSorted(), [...Array(6).fill('API_FAILED'), ...Array(3).fill('LEASE_LOST')])
  t.same(troubles, [], 'nothing is wrong with the ledger')
})

t.test('two connectors of one name that declare different limits are refused', async t => {
  const source = filledApi().connector(10)
  const limited = { ...source, api: { limits: [{ per: 'account', requests: 1, seconds: 1 }] } } as const
  await t.rejects(open(t, [adsPipeline(source), adsPipeline(limited, { name: 'spend' })]), {
    code: 'CONFIG_INVALID',
    message: 'limits of the API ads: two connectors of that name declare different limits or another concurrency',
  })
})
