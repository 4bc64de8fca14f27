import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { pageToken, rest } from '../../connectors/rest/index.ts'
import { daysOf } from '../../lib/chunk.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import { resetHeader, retryAfter, waitField, waitHeader } from '../../lib/http/signals.ts'
import type { Connector, ErrorCode, Options } from '../../lib/index.ts'
import { folder } from '../ledger/kit.ts'
import { cut, RESET, type Received, type Scripted, SILENCE, serve } from '../servers/http.ts'
import { type AdRecord, ad, adsPipeline } from '../support/ads.ts'
import { openLedger, rows, run } from '../support/run.ts'

/**
 * Whole runs against a server that does everything wrong that APIs do: what passes is read right, and what stays is a chunk with a clear error and
 * nothing of it in the table.
 */

const DAY = '2026-03-01'

/** Tells of errors and waits the way the documented APIs do. */
const API: ApiPolicy = {
  classify: ({ status, text, body }) => {
    if (status === 403 && text.includes('quota')) return 'throttled'
    if (status === 400 && text.includes('TOO_MANY_ROWS')) return 'too-much'
    const code = typeof body === 'object' && body !== null && 'code' in body ? body.code : undefined
    return code === 40_100 ? 'throttled' : code === 50_000 ? 'retry' : undefined
  },
  waits: [
    waitField('retryDelay'),
    retryAfter,
    waitHeader('retry-after-ms', 'ms'),
    resetHeader('x-reset', { unit: 's', remaining: 'x-remaining' }),
  ],
}

const throttled = (headers: Record<string, string> = {}, body: unknown = 'slow down'): Scripted => ({
  status: 429,
  headers,
  body,
})
const soon = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toUTCString()
const html: Scripted = { status: 502, headers: { 'content-type': 'text/html' }, body: '<html><h1>Bad Gateway</h1></html>' }

/** A body that never ends, a space every few milliseconds. */
const drip: Scripted = (_received, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const write = (): void => void (response.destroyed || response.write(' ', () => setTimeout(write, 20)))
  write()
}

/** The records of one day of a client: two pages. */
function page({ query }: Received): { data: AdRecord[]; next?: string } {
  const client = query.get('client') ?? ''
  const window = { from: query.get('from') ?? '', to: query.get('to') ?? '' }
  const records = daysOf(window).flatMap(day => ['k1', 'k2'].map(id => ad(client, day, id)))
  return query.get('page') === '2'
    ? { data: records.filter(({ campaign }) => campaign.id === 'k2') }
    : { data: records.filter(({ campaign }) => campaign.id === 'k1'), next: '2' }
}

const packed = (received: Received): Buffer => gzipSync(JSON.stringify(page(received)))

/** What is sent instead of the second page, by client; and what becomes of the chunk when it stays. */
const FAULTS: Readonly<Record<string, [Scripted, ErrorCode | 'parked']>> = {
  'no hint': [throttled(), 'API_THROTTLED'],
  seconds: [throttled({ 'retry-after': '7' }), 'API_THROTTLED'],
  'a date': [throttled({ 'retry-after': soon(30) }), 'API_THROTTLED'],
  milliseconds: [throttled({ 'retry-after-ms': '90' }), 'API_THROTTLED'],
  'an instant': [throttled({ 'x-reset': String(Math.ceil(Date.now() / 1_000) + 30), 'x-remaining': '0' }), 'API_THROTTLED'],
  'in the body': [throttled({}, { error: { details: [{ retryDelay: '9s' }] } }), 'API_THROTTLED'],
  zero: [throttled({ 'retry-after': '0' }), 'API_THROTTLED'],
  negative: [throttled({ 'retry-after': '-5' }), 'API_THROTTLED'],
  'a word': [throttled({ 'retry-after': 'later' }), 'API_THROTTLED'],
  hours: [throttled({ 'retry-after': '7200' }), 'parked'],
  'hours in the body': [{ status: 403, body: { error: 'quota', retryDelay: '7200s' } }, 'parked'],
  '403': [{ status: 403, body: { error: 'quota exceeded' } }, 'API_THROTTLED'],
  'throttled in 200': [{ body: { code: 40_100, message: 'too many' } }, 'API_THROTTLED'],
  'failed in 200': [{ body: { code: 50_000, message: 'internal' } }, 'API_FAILED'],
  '500': [{ status: 500, body: { error: 'oops' } }, 'API_FAILED'],
  'a proxy': [html, 'API_FAILED'],
  'a proxy with 200': [{ headers: { 'content-type': 'text/html' }, body: '<html>' }, 'API_BODY_BROKEN'],
  reset: [RESET, 'API_UNREACHABLE'],
  'reset amid the body': [received => cut(page(received)), 'API_UNREACHABLE'],
  'half of the JSON': [received => ({ body: JSON.stringify(page(received)).slice(0, -9) }), 'API_BODY_BROKEN'],
  'half of the gzip': [
    received => ({ headers: { 'content-encoding': 'gzip' }, body: packed(received).subarray(0, -9) }),
    'API_BODY_BROKEN',
  ],
  'damaged gzip': [
    received => ({ headers: { 'content-encoding': 'gzip' }, body: packed(received).fill(0, 12, 20) }),
    'API_BODY_BROKEN',
  ],
  silence: [SILENCE, 'API_UNREACHABLE'],
  drops: [drip, 'API_UNREACHABLE'],
  nothing: [{ body: '' }, 'API_BODY_BROKEN'],
  forbidden: [{ status: 403, body: 'no' }, 'API_REFUSED'],
}

/** Faults after which a person is needed, or a long time, even when they come once. */
const STAY = ['hours', 'hours in the body', 'forbidden']

/** A connector for a server that gives such pages. */
function connector(url: string): Connector<AdRecord> {
  return rest<AdRecord>({
    name: 'ads',
    url: `${url}/v1`,
    query: { client: '{client}', from: '{from}', to: '{to}' },
    records: 'data',
    pages: pageToken({ param: 'page', next: 'next' }),
    api: API,
  })
}

/** Runs a day of every client against a server that sends its fault so many times. */
async function setup(t: Test, times: number, settings: Partial<Options>) {
  const asked = new Map<string, number>()
  const server = await serve(received => {
    const client = received.query.get('client') ?? ''
    if (received.query.get('page') !== '2') return { body: page(received) }
    const count = (asked.get(client) ?? 0) + 1
    asked.set(client, count)
    const fault = FAULTS[client]
    return count <= times && fault !== undefined ? fault[0] : { body: page(received) }
  })
  t.teardown(() => server.close())
  const path = folder(t)
  const waits: number[] = []
  // Whoever sleeps moves the clock on, as far as nobody else has moved it already.
  let ahead = 0
  const now = (): number => Date.now() + ahead
  const options = {
    folder: path,
    pipeline: adsPipeline(connector(server.url)),
    from: DAY,
    to: DAY,
    clients: Object.keys(FAULTS),
    settings: { requestSeconds: 3, attempts: 1, concurrency: 8, leaseSeconds: 3_600, ...settings },
    now,
    sleep: async (ms: number): Promise<void> => {
      const until = now() + ms
      waits.push(ms)
      await setImmediate()
      ahead = Math.max(ahead, until - Date.now())
    },
  }
  return { options, path, waits }
}

/** Rows per client in the table. */
async function published(path: string): Promise<Record<string, unknown>> {
  const found = await rows(path, 'SELECT client_id, count(*)::INT AS n FROM ads.campaigns GROUP BY 1')
  return Object.fromEntries(found.map(({ client_id, n }) => [client_id, n]))
}

t.test('a fault that comes once is waited out, and every row arrives', async t => {
  const { options, path, waits } = await setup(t, 1, { requestAttempts: 3 })
  const { progress } = await run(options)
  t.match(progress, { published: Object.keys(FAULTS).length - STAY.length, parked: 2, held: 1 })
  t.same(await published(path), Object.fromEntries(Object.keys(FAULTS).flatMap(name => (STAY.includes(name) ? [] : [[name, 2]]))))
  for (const [hint, slack] of [
    [7_000, 500],
    [9_000, 500],
    [90, 500],
  ] as const) {
    t.ok(
      waits.some(wait => wait >= hint && wait <= hint + slack),
      `${hint} ms were waited`,
    )
  }
})

t.test('a fault that stays is a chunk with an error of its own, and no row of it is in the table', async t => {
  const { options, path } = await setup(t, Number.POSITIVE_INFINITY, { requestAttempts: 2 })
  const { exitCode, progress } = await run(options)
  t.equal(exitCode, 42)
  t.match(progress, { published: 0, parked: 2, held: 1, failed: Object.keys(FAULTS).length - 3 })
  t.same(await published(path), {})
  const ledger = openLedger(path)
  const problems = await ledger.problems('campaigns', undefined, 100)
  await ledger.close()
  for (const [name, [, code]] of Object.entries(FAULTS)) {
    const found = problems.find(({ chunk }) => chunk.client === name)
    if (code === 'parked') {
      t.match(found, { state: 'parked', problem: { code: 'API_THROTTLED' } }, name)
      t.ok((found?.notBefore ?? 0) > Date.now() + 7_000_000, `${name} is parked for two hours`)
    } else t.match(found?.problem, { code, message: /\/v1/, hint: /Nothing of this chunk was published/ }, name)
  }
})

t.test('an API that is down gets little more than one request of each chunk', async t => {
  const server = await serve({ status: 503, body: 'down' })
  t.teardown(() => server.close())
  const { options } = await setup(t, 0, { requestAttempts: 6 })
  const clients = Array.from({ length: 60 }, (_, n) => `c${n}`)
  const { progress } = await run({ ...options, pipeline: adsPipeline(connector(server.url)), clients })
  t.equal(progress.failed, clients.length)
  t.ok(server.received.length <= clients.length + 50, `${server.received.length} requests for ${clients.length} chunks`)
})

t.test('an API that breaks off whatever it sends is not asked for ever smaller windows', async t => {
  const server = await serve(received => cut(page(received)))
  t.teardown(() => server.close())
  const { options } = await setup(t, 0, { requestAttempts: 6, attempts: 2 })
  const pipeline = adsPipeline(connector(server.url), { days: 16 })
  const clients = Array.from({ length: 30 }, (_, n) => `c${n}`)
  const { progress } = await run({ ...options, pipeline, to: '2026-03-16', clients })
  t.equal(progress.pending + progress.published, 0)
  t.ok(progress.failed <= clients.length + 50, `${progress.failed} chunks, not ${clients.length * 16}`)
})

t.test('a window whose answer is refused as too much, breaks off, or never comes is read in halves', async t => {
  const faults: Readonly<Record<string, Scripted>> = {
    told: { status: 400, body: { error: 'TOO_MANY_ROWS' } },
    cut: received => cut(page(received)),
    silent: SILENCE,
    gzip: received => ({ headers: { 'content-encoding': 'gzip' }, body: packed(received).subarray(0, -9) }),
  }
  const server = await serve(received => {
    const { query } = received
    const long = daysOf({ from: query.get('from') ?? '', to: query.get('to') ?? '' }).length > 1
    return (long ? faults[query.get('client') ?? ''] : undefined) ?? { body: page(received) }
  })
  t.teardown(() => server.close())
  const { options, path } = await setup(t, 0, { requestAttempts: 6 })
  const { exitCode, progress } = await run({
    ...options,
    pipeline: adsPipeline(connector(server.url), { days: 2 }),
    to: '2026-03-02',
    clients: Object.keys(faults),
  })
  t.equal(exitCode, 0)
  t.match(progress, { published: 8, failed: 0 })
  t.same(await published(path), { told: 4, cut: 4, silent: 4, gzip: 4 })
  const tries = (client: string): number =>
    server.received.filter(({ query }) => query.get('client') === client && query.get('from') !== query.get('to')).length
  t.same(['told', 'cut', 'silent', 'gzip'].map(tries), [1, 2, 2, 2], 'what may be an accident is tried twice')
})
