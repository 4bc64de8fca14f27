import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OUTCOMES } from '../../lib/attempt/telemetry.ts'
import { type Connector, DataError, defineConnector, TransientError } from '../../lib/index.ts'
import { sql } from '../ledger/kit.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { type RunOptions, run } from '../support/run.ts'
import { keepSpans } from '../support/spans.ts'

const DAY = '2026-03-01'
const SECRET = 'planted-77aa01'

// So that the events name spans.
keepSpans()

type Line = Record<string, unknown>

/** Every event of an attempt that any test has seen. */
const seen: Line[] = []

const isEvent = ({ event, attempt }: Line): boolean =>
  typeof event === 'string' && event.startsWith('chunk.') && attempt !== undefined

/** The events of the attempts of a run over one client, and the attempts that its ledger knows. */
async function eventsOf(options: Partial<RunOptions> & Pick<RunOptions, 'folder' | 'pipeline'>): Promise<Line[]> {
  const lines: Line[] = []
  const settings = { attempts: 1, ...options.settings }
  await run({ from: DAY, to: DAY, clients: ['a'], ...options, settings, onLine: line => void lines.push(line) }).catch(
    () => undefined,
  )
  const events = lines.filter(isEvent)
  seen.push(...events)
  return events
}

const api = (...records: readonly AdRecord[]): AdsApi => {
  const filled = new AdsApi()
  filled.set('a', DAY, records)
  return filled
}

/** A connector that throws what it is given, in turn, and then gives a record. */
function throwing(...errors: readonly Error[]): Connector<AdRecord> {
  const left = [...errors]
  return defineConnector<AdRecord>({
    name: 'ads',
    async *pages() {
      const error = left.shift()
      if (error !== undefined) throw error
      yield [ad('a', DAY, 'k')]
    },
  })
}

const transient = (more: { readonly notBefore?: number } = {}): TransientError =>
  new TransientError('API_UNREACHABLE', {
    message: `no answer from https://api.example/v1/ads`,
    cause: new Error(`GET https://api.example/v1/ads?api_key=${SECRET} failed with Bearer ${SECRET}`),
    ...more,
  })

t.test('the event of an attempt that is held says by which rules rows were refused', async t => {
  const pipeline = adsPipeline(api(ad('a', DAY, 'k'), ad('a', DAY, 'l'), ad('a', DAY, 'm', -1)).connector(2))
  const [event, ...more] = await eventsOf({ folder: t.testdir(), pipeline, settings: {} })
  t.same(more, [])
  t.match(event, {
    level: 'error',
    event: 'chunk.held',
    code: 'REJECTS_TOO_MANY',
    rejectedBy: { minimum: 1 },
    rows: { extracted: 3, staged: 2, rejected: 1, inserted: 0 },
  })
})

t.test('an attempt that publishes is one event that says everything of it', async t => {
  const folder = t.testdir()
  const [published, ...others] = await eventsOf({ folder, pipeline: adsPipeline(api(ad('a', DAY, 'k')).connector(2)) })
  t.same(others, [])
  const [attempt] = sql(join(folder, 'ledger.sqlite'), 'SELECT * FROM attempt')
  t.match(published, {
    level: 'info',
    event: 'chunk.published',
    chunk: `campaigns/a/${DAY}`,
    pipeline: 'campaigns',
    client: 'a',
    from: DAY,
    to: DAY,
    run: attempt?.run_id,
    attempt: attempt?.attempt_id,
    generation: attempt?.generation,
    group: attempt?.group_id,
    trace_id: /^[0-9a-f]{32}$/,
    span_id: /^[0-9a-f]{16}$/,
    try: 1,
    priority: 'backfill',
    force: false,
    api: { requests: 0, retries: 0, waitedMs: 0, bytes: 0, pages: 1 },
    rows: { extracted: 1, staged: 1, rejected: 0, deduplicated: 0, deleted: 0, inserted: 1, present: 1, previous: null },
    rejectedBy: {},
    drifts: 0,
    restated: 0,
    cost: null,
  })
  const { steps, ms, stagedBytes } = published as { steps: Record<string, number>; ms: number; stagedBytes: number }
  t.same(Object.keys(steps).toSorted(), ['commit', 'encode', 'extract', 'map', 'reconcile', 'stage', 'validate'])
  t.ok(ms >= 0 && stagedBytes > 0)
})

t.test('whatever becomes of an attempt, it is told exactly once', async t => {
  const folder = t.testdir()
  const ok = adsPipeline(api(ad('a', DAY, 'k')).connector(2))
  const names = async (more: Partial<RunOptions>, at = t.testdir()): Promise<unknown[]> =>
    (await eventsOf({ folder: at, pipeline: ok, ...more })).map(({ event, code = '' }) => `${event} ${code}`)
  t.same(await names({}, folder), ['chunk.published '])
  t.same(await names({}, folder), ['chunk.unchanged '])
  const refused = new DataError('PAGE_MALFORMED', { message: 'no' })
  t.same(await names({ pipeline: adsPipeline(throwing(refused)) }), ['chunk.held PAGE_MALFORMED'])
  t.same(await names({ pipeline: adsPipeline(throwing(transient())) }), ['chunk.failed API_UNREACHABLE'])
  const later = transient({ notBefore: Date.now() + 3_600_000 })
  t.same(await names({ pipeline: adsPipeline(throwing(later)) }), ['chunk.parked API_UNREACHABLE'])
  t.same(await names({ pipeline: adsPipeline(throwing(transient(), transient())), settings: { attempts: 3 } }), [
    'chunk.retried API_UNREACHABLE',
    'chunk.retried API_UNREACHABLE',
    'chunk.published ',
  ])
  const walled = api()
  for (const day of [DAY, '2026-03-02']) walled.set('a', day, [ad('a', day, 'k')])
  walled.mostDays = 1
  t.same(await names({ pipeline: adsPipeline(walled.connector(2), { days: 2 }), to: '2026-03-02' }), [
    'chunk.halved WINDOW_TOO_LARGE',
    'chunk.published ',
    'chunk.published ',
  ])
})

t.test('an attempt that is given up is told of, whether it was stopped or the ledger is gone', async t => {
  const pipeline = adsPipeline(api(ad('a', DAY, 'k')).connector(2))
  const abort = new AbortController()
  const stopped = await eventsOf({
    folder: t.testdir(),
    pipeline,
    stop: abort.signal,
    abort: abort.signal,
    fault: point => {
      if (point === 'page') abort.abort(new TransientError('ABORTED', { message: 'stopped' }))
    },
  })
  t.match(stopped, [{ event: 'chunk.abandoned', level: 'warn', code: 'ABORTED' }])
  t.equal(stopped.length, 1)
  for (const at of ['claimed', 'staged'] as const) {
    const folder = t.testdir()
    const gone = await eventsOf({
      folder,
      pipeline,
      fault: point => {
        if (point !== at) return
        for (const table of ['day', 'attempt']) sql(join(folder, 'ledger.sqlite'), `ALTER TABLE ${table} RENAME TO gone_${table}`)
      },
    })
    t.match(gone, [{ event: 'chunk.abandoned', err: { message: String } }], at)
    t.equal(gone.length, 1, at)
  }
})

t.test('every outcome was seen, docs/logs.md names every field there is, and none holds a secret', async t => {
  t.same([...new Set(seen.map(({ event }) => String(event).slice('chunk.'.length)))].toSorted(), Object.keys(OUTCOMES).toSorted())
  t.notMatch(JSON.stringify(seen), SECRET)
  t.match(JSON.stringify(seen), 'ads?… failed with Bearer …', 'the error that held it was told')
  const page = readFileSync(new URL('../../docs/logs.md', import.meta.url), 'utf8')
  const [, section = ''] = page.split('## What does the event of an attempt say?\n')
  const documented = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field)
  t.same([...new Set(seen.flatMap(event => Object.keys(event)))].toSorted(), documented.toSorted())
})
