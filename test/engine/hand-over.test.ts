import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { FaultPoint } from '../../lib/attempt/attempt.ts'
import { openWorker, type Worker } from '../../lib/engine/worker.ts'
import { TransientError } from '../../lib/errors.ts'
import { createLog, defineConfig, duckdb, type Pipeline, type RunEvent } from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { Served } from '../../lib/ledger/served.ts'
import type { RunEvent as LineageEvent } from '../../lib/lineage/events.ts'
import { requestOf } from '../../lib/plan/plan.ts'
import { attemptsIn, eventsIn } from '../lineage/events.ts'
import { AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { deadOwner, openLedger, rows } from '../support/run.ts'
import { keepSpans } from '../support/spans.ts'

const spans = keepSpans()
const DAY = '2026-03-01'
const CLIENTS = ['a', 'b', 'c', 'd']
const calm = { onAttempt: async () => undefined, onTrouble: async () => undefined }

/** A process of its own, as far as the ledger and the warehouse can tell. */
interface Process {
  readonly worker: Worker
  readonly ledger: Ledger
  readonly events: RunEvent[]
  /** Events of attempts in its log. */
  readonly told: Record<string, unknown>[]
  /** Begins a served run of one day for each client. */
  serve(clients: readonly string[]): Promise<void>
  /** Takes no more chunks, like one that has died. */
  stop(): void
  /** Works until its log tells of the end of so many attempts. */
  until(attempts: number): Promise<void>
}

type Fault = (point: FaultPoint, client: string) => void | Promise<void>

async function start(
  t: Test,
  folder: string,
  pipeline: Pipeline,
  owner: string,
  fault: Fault = () => {},
  wrap: (ledger: Ledger) => Ledger = ledger => ledger,
): Promise<Process> {
  const ledger = wrap(openLedger(folder, owner))
  const warehouse = duckdb({ path: join(folder, 'warehouse.duckdb') })
  // Two chunks under way, so that the other process finds some too.
  const settings = { retryBaseSeconds: 0, concurrency: 1, stagedChunks: 2, leaseSeconds: 3_600 }
  const lineage = { file: join(folder, 'lineage.jsonl') }
  const config = defineConfig({ pipelines: [pipeline], clients: CLIENTS, warehouse, ledger, settings, lineage })
  const stop = new AbortController()
  const abort = new AbortController()
  const events: RunEvent[] = []
  const told: Record<string, unknown>[] = []
  const write = (line: string): void => {
    const { event, ...said } = JSON.parse(line)
    if (!event.startsWith('chunk.')) return
    told.push({ event, ...said })
    heard()
  }
  let heard = (): void => undefined
  const worker = await openWorker(config, [pipeline], () => CLIENTS, {
    log: createLog('info', { write }),
    registry: new Registry(),
    observe: event => void events.push(event),
    control: { stop: stop.signal, abort: abort.signal },
    fault: (point, { chunk }) => fault(point, chunk.client),
  })
  t.teardown(async () => {
    stop.abort()
    abort.abort()
    await worker.close()
    await ledger.close()
  })
  await worker.prepare(pipeline)
  const served: Served = { pipelines: [{ name: pipeline.name, atOnce: 100, after: [] }], perAccount: 100 }
  return {
    worker,
    ledger,
    events,
    told,
    async serve(clients) {
      const window = { from: DAY, to: DAY }
      const request = requestOf(worker.compiled(pipeline), { window, clients, force: false, missing: false })
      const chunks = clients.map(client => ({ pipeline: pipeline.name, client, window }))
      await ledger.beginRun(request, chunks, { served: true })
    },
    stop: () => stop.abort(),
    async until(attempts) {
      const done = worker.work(served, calm)
      while (told.length < attempts) {
        const { promise, resolve } = Promise.withResolvers<void>()
        heard = resolve
        await promise
      }
      stop.abort()
      await done
    },
  }
}

function filled(): AdsApi {
  const api = new AdsApi()
  for (const client of CLIENTS) api.set(client, DAY, [ad(client, DAY, 'x')])
  return api
}

/** What was told of lineage, once it is so many events. */
async function told(folder: string, events: number): Promise<LineageEvent[]> {
  for (;;) {
    const found = eventsIn(join(folder, 'lineage.jsonl'))
    if (found.length >= events) return found
    await new Promise(setImmediate)
  }
}

const published = ({ events }: Process): string[] =>
  events.flatMap(event => (event.type === 'chunk' && event.state === 'published' ? [event.chunk.client] : [])).sort()

t.test('a chunk that was staged survives its process: another one publishes it, and does not ask the API again', async t => {
  const folder = t.testdir()
  const api = filled()
  const pipeline = adsPipeline(api.connector(10))
  const staged = Promise.withResolvers<void>()
  const dead = await start(t, folder, pipeline, deadOwner(), async (point, client) => {
    if (point !== 'staged' || client !== 'b') return
    staged.resolve()
    await new Promise(() => undefined)
  })
  await dead.serve(['a', 'b'])
  void dead.until(2)
  await staged.promise
  dead.stop()
  t.equal(api.pages, 2)
  const living = await start(t, folder, pipeline, 'elsewhere 1 1')
  await living.serve(['c'])
  await living.until(2)
  t.same(await rows(folder, 'SELECT client_id FROM ads.campaigns ORDER BY 1'), [
    { client_id: 'a' },
    { client_id: 'b' },
    { client_id: 'c' },
  ])
  t.equal(api.pages, 3, 'b was read once')
  t.match(await living.ledger.days('campaigns', 'b', { from: DAY, to: DAY }), [{ rows: 1, doubtful: false }])
  t.same(
    readdirSync(join(folder, 'warehouse.duckdb.staging')).filter(file => file.endsWith('.csv')),
    [],
    'and what was staged is gone',
  )
  t.same(attemptsIn(await told(folder, 6)), Array(3).fill('START COMPLETE'), 'who publishes it tells of its end')
  t.same(living.told.map(({ event, client }) => `${event} ${client}`).toSorted(), ['chunk.published b', 'chunk.published c'])
  t.notOk(
    dead.told.some(({ client }) => client === 'b'),
    'who has died cannot tell of it',
  )
  const b = living.told.find(({ client }) => client === 'b')
  t.ok(
    spans.some(span => span.name === 'headrace.reconcile' && span.parentSpanContext?.spanId === b?.span_id),
    'its reconciliation is part of the attempt that has staged it',
  )
  const linked = spans.flatMap(({ name, links }) => (name === 'headrace.transaction' ? links : []))
  t.ok(linked.some(({ context }) => context.spanId === b?.span_id && context.traceId === b?.trace_id))
})

t.test('while one process publishes, the others wait, and whoever is next publishes for all', async t => {
  const folder = t.testdir()
  const api = filled()
  const pipeline = adsPipeline(api.connector(10))
  const committing = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const one = await start(t, folder, pipeline, 'one 1 1', async (point, client) => {
    if (point !== 'committing' || client !== 'a') return
    committing.resolve()
    await goOn.promise
  })
  await one.serve(CLIENTS)
  const first = one.until(2)
  await committing.promise
  const others = await start(t, folder, pipeline, 'two 2 2')
  const second = others.until(2)
  while ((await one.ledger.stagedByOthers('campaigns')).length < 2) await new Promise(setImmediate)
  t.same(published(one), [], 'nobody else has published anything meanwhile')
  t.same(published(others), [])
  goOn.resolve()
  await Promise.all([first, second])
  t.equal((await rows(folder, 'SELECT * FROM ads.campaigns')).length, 4)
  t.same([...published(one), ...published(others)].sort(), CLIENTS, 'each is told of where it was read')
  const groups = [...one.events, ...others.events].flatMap(event =>
    event.type === 'chunk' && event.summary !== null ? [event.summary.groupId] : [],
  )
  t.equal(groups.length, 4)
  t.ok(new Set(groups).size < 4, 'what two processes have staged is published together')
  t.same(attemptsIn(await told(folder, 8)), Array(4).fill('START COMPLETE'), 'each end is told once')
})

/** A process that has staged b and is gone. */
async function leaveStaged(t: Test, folder: string, pipeline: Pipeline): Promise<void> {
  const staged = Promise.withResolvers<void>()
  const dead = await start(t, folder, pipeline, deadOwner(), async (point, client) => {
    if (point !== 'staged' || client !== 'b') return
    staged.resolve()
    await new Promise(() => undefined)
  })
  await dead.serve(['b'])
  void dead.until(1)
  await staged.promise
  dead.stop()
}

/** A process that has staged b and is gone, and so are the rows. */
async function loseStaged(t: Test, folder: string, pipeline: Pipeline): Promise<void> {
  await leaveStaged(t, folder, pipeline)
  const [lost] = await openLedger(folder, 'somebody 1 1').stagedByOthers('campaigns')
  if (lost === undefined) throw new Error('nothing is staged')
  await duckdb({ path: join(folder, 'warehouse.duckdb') }).discard(lost.member)
}

t.test('a staged chunk whose rows are gone is read again', async t => {
  const folder = t.testdir()
  const api = filled()
  const pipeline = adsPipeline(api.connector(10))
  await loseStaged(t, folder, pipeline)
  const living = await start(t, folder, pipeline, 'elsewhere 1 1')
  await living.until(2)
  t.same(published(living), ['b'], 'staged rows that are gone are read again')
  t.equal(api.pages, 2)
})

t.test('a chunk of the dead that cannot be settled keeps nobody from work, and is settled at the next turn', async t => {
  const folder = t.testdir()
  const api = filled()
  const pipeline = adsPipeline(api.connector(10))
  await loseStaged(t, folder, pipeline)
  let refusals = 2
  const living = await start(t, folder, pipeline, 'elsewhere 1 1', undefined, ledger => ({
    ...ledger,
    async settle(...settled) {
      if (refusals-- > 0) throw new TransientError('LEDGER_FAILED', { message: 'away' })
      await ledger.settle(...settled)
    },
  }))
  await living.serve(['c', 'd'])
  await living.until(4)
  t.same(published(living), ['b', 'c', 'd'])
  t.equal(api.pages, 4, 'what could be settled at last is read again')
})

t.test('a chunk of the dead that is published, and cannot be written down, is written down at the next turn', async t => {
  const folder = t.testdir()
  const api = filled()
  const pipeline = adsPipeline(api.connector(10))
  await leaveStaged(t, folder, pipeline)
  const away = async (): Promise<never> => {
    throw new TransientError('LEDGER_FAILED', { message: 'away' })
  }
  let refusals = 4
  const living = await start(t, folder, pipeline, 'elsewhere 1 1', undefined, ledger => ({
    ...ledger,
    published: async (...args) => (args[1].client === 'b' && refusals-- > 0 ? away() : ledger.published(...args)),
    settle: async (...args) => (refusals-- > 0 ? away() : ledger.settle(...args)),
  }))
  await living.serve(['c', 'd'])
  await living.until(3)
  t.same(published(living), ['c', 'd'], 'those that are published with it have theirs')
  t.ok(refusals <= 0, 'after two turns at which it could not be')
  t.match(await living.ledger.days('campaigns', 'b', { from: DAY, to: DAY }), [{ rows: 1, doubtful: false }])
  t.same(await rows(folder, "SELECT count(*) AS rows FROM ads.campaigns WHERE client_id = 'b'"), [{ rows: '1' }])
  t.equal(api.pages, 3, 'b was read once')
})
