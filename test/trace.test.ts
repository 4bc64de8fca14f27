import { mock } from 'node:test'
import { diag } from '@opentelemetry/api'
import type { SpanProcessor } from '@opentelemetry/sdk-trace'
import t, { type Test } from 'tap'
import { pageToken, rest } from '../connectors/index.ts'
import { TransientError } from '../lib/errors.ts'
import type { Pipeline } from '../lib/index.ts'
import { flushSpans, openSpan, SPANS } from '../lib/trace.ts'
import { type Scripted, type Server, serve } from './servers/http.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from './support/ads.ts'
import { rows, run } from './support/run.ts'
import { keepSpans, said, treeOf } from './support/spans.ts'

const DAY = '2026-03-01'
const SECRET = 'planted-9f3c1b'

/** Throws wherever it is asked, as long as it is told to. */
const faulty: SpanProcessor & { broken: boolean } = {
  broken: false,
  onStart() {
    if (this.broken) throw new Error(`onStart is broken, see https://collector.example/?key=${SECRET}`)
  },
  onEnd() {
    if (this.broken) throw new Error('onEnd is broken')
  },
  forceFlush: async () => {},
  shutdown: async () => {},
}

const spans = keepSpans(faulty)

/** The spans of what is done meanwhile. */
async function during<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ended: typeof spans }> {
  const before = spans.length
  const result = await work()
  return { result, ended: spans.slice(before) }
}

/** An API of two pages for each client, with a token in the query and in a header. */
async function pagedApi(t: Test, script?: Scripted): Promise<{ readonly server: Server; readonly pipeline: Pipeline }> {
  const server = await serve(
    script ??
      (({ query }) => {
        const client = query.get('client') ?? ''
        return query.has('page')
          ? { body: { data: [ad(client, DAY, 'second')] } }
          : { body: { data: [ad(client, DAY, 'first')], next: 'p2' } }
      }),
  )
  t.teardown(() => server.close())
  const source = rest<AdRecord>({
    name: 'ads',
    url: `${server.url}/v1/records`,
    query: { client: '{client}', api_key: SECRET },
    headers: { authorization: `Bearer ${SECRET}` },
    records: 'data',
    pages: pageToken({ param: 'page', next: 'next' }),
  })
  return { server, pipeline: adsPipeline(source) }
}

t.test('a run is a tree of spans, with the requests under the reading and the transaction on its own', async t => {
  const { pipeline, server } = await pagedApi(t)
  const folder = t.testdir()
  const { result, ended } = await during(() =>
    run({ folder, pipeline, from: DAY, to: DAY, clients: ['a', 'b'], settings: { concurrency: 1 } }),
  )
  t.equal(result.exitCode, 0)
  const attempt = [
    '  headrace.attempt',
    '    headrace.read',
    '      GET',
    '      GET',
    '    headrace.stage',
    '    headrace.commit',
    '      headrace.reconcile',
  ]
  t.same(treeOf(ended.filter(({ name }) => name !== 'headrace.transaction')), ['headrace.run', ...attempt, ...attempt])
  const attempts = ended.filter(({ name }) => name === 'headrace.attempt')
  const transactions = ended.filter(({ name }) => name === 'headrace.transaction')
  const linked = transactions.flatMap(({ links }) => links.map(({ context }) => context.spanId))
  t.same(linked.toSorted(), attempts.map(span => span.spanContext().spanId).toSorted(), 'a transaction names its attempts')
  for (const { parentSpanContext, attributes } of transactions) {
    t.equal(parentSpanContext, undefined)
    t.match(attributes, { 'headrace.table': 'ads.campaigns', 'headrace.warehouse': 'duckdb' })
    t.ok(
      ended.some(
        span => span.name === 'headrace.commit' && span.attributes['headrace.group.id'] === attributes['headrace.group.id'],
      ),
    )
  }
  t.match(ended.find(({ name }) => name === 'headrace.run')?.attributes, {
    'headrace.run.id': result.run.id,
    'headrace.run.exit_code': 0,
    'headrace.clients': 2,
  })
  t.match(attempts[0]?.attributes, {
    'headrace.client': 'a',
    'headrace.outcome': 'published',
    'headrace.rows.extracted': 2,
    'headrace.rows.inserted': 2,
    'headrace.attempt.number': 1,
  })
  const url = new URL(server.url)
  for (const { attributes, kind } of ended.filter(({ name }) => name === 'GET')) {
    t.equal(kind, 2, 'of a client')
    t.same(attributes, {
      'http.request.method': 'GET',
      'server.address': url.hostname,
      'server.port': Number(url.port),
      'url.path': '/v1/records',
      'http.response.status_code': 200,
    })
  }
})

t.test('spans carry what the table of spans says and nothing else, and no request carries a trace', async t => {
  const { pipeline, server } = await pagedApi(t)
  await run({ folder: t.testdir(), pipeline, from: DAY, to: DAY, clients: ['a'] })
  for (const { headers } of server.received) t.notOk('traceparent' in headers || 'tracestate' in headers || 'baggage' in headers)
  for (const { name, attributes } of spans) {
    const allowed: readonly string[] = Object.entries(SPANS).find(([known]) => known === name)?.[1] ?? []
    t.same(
      Object.keys(attributes).filter(key => !allowed.includes(key)),
      [],
      name,
    )
  }
})

t.test('pages and rows are no spans', async t => {
  const api = new AdsApi()
  api.set(
    'a',
    DAY,
    Array.from({ length: 40 }, (_, index) => ad('a', DAY, `k${index}`)),
  )
  const names = async (pageSize: number): Promise<string[]> => {
    const pipeline = adsPipeline(api.connector(pageSize))
    const { ended } = await during(() => run({ folder: t.testdir(), pipeline, from: DAY, to: DAY, clients: ['a'] }))
    return ended.map(({ name }) => name).toSorted()
  }
  t.same(await names(1), await names(40))
})

t.test('an error is on every span that it ended, with its code and without what may be a credential', async t => {
  const { pipeline } = await pagedApi(t, {
    status: 403,
    body: { error: `no rights for Bearer ${SECRET} at https://api.example/?api_key=${SECRET}` },
  })
  const { result, ended } = await during(() => run({ folder: t.testdir(), pipeline, from: DAY, to: DAY, clients: ['a'] }))
  t.equal(result.exitCode, 42)
  const failed = ended.filter(({ status }) => status.code === 2)
  t.same(
    failed.map(({ name, attributes }) => [name, attributes['error.type']]),
    [
      ['GET', '403'],
      ['headrace.read', 'API_REFUSED'],
      ['headrace.attempt', 'API_REFUSED'],
    ],
  )
  for (const { events, status } of failed) {
    t.match(events, [{ name: 'exception', attributes: { 'exception.type': 'API_REFUSED', 'exception.stacktrace': String } }])
    t.match(status.message, /answered 403/)
  }
  t.match(failed[2]?.attributes, { 'headrace.outcome': 'held' })
})

t.test(
  'a request that broke and was sent again is two spans, and a chunk that is tried again links to the try before',
  async t => {
    let times = 0
    const { pipeline } = await pagedApi(t, ({ query }, response) => {
      times++
      if (times === 1) response.socket?.resetAndDestroy()
      if (times === 1) return undefined
      return times === 2 ? { status: 503 } : { body: { data: [ad(query.get('client') ?? '', DAY, 'k')] } }
    })
    const { result, ended } = await during(() =>
      run({
        folder: t.testdir(),
        pipeline,
        from: DAY,
        to: DAY,
        clients: ['a'],
        settings: { requestAttempts: 2, attempts: 2 },
        sleep: async () => {},
      }),
    )
    t.equal(result.exitCode, 0)
    t.same(
      ended.filter(({ name }) => name === 'GET').map(({ attributes }) => attributes['error.type']),
      ['API_UNREACHABLE', '503', undefined],
    )
    const [first, second] = ended.filter(({ name }) => name === 'headrace.attempt')
    t.match(first?.attributes, { 'headrace.attempt.number': 1, 'headrace.outcome': 'retried' })
    t.match(second?.attributes, { 'headrace.attempt.number': 2, 'headrace.outcome': 'published' })
    t.same(
      second?.links.map(({ context }) => context.spanId),
      [first?.spanContext().spanId],
    )
  },
)

t.test('a span processor that throws costs its spans, says so, and harms no chunk', async t => {
  const { pipeline } = await pagedApi(t)
  const folder = t.testdir()
  const told: string[] = []
  const ignore = (): void => {}
  const error = (message: string): void => void told.push(message)
  diag.setLogger({ error, warn: ignore, info: ignore, debug: ignore, verbose: ignore }, { suppressOverrideMessage: true })
  faulty.broken = true
  t.teardown(() => {
    faulty.broken = false
    diag.disable()
  })
  const { result, ended } = await during(() => run({ folder, pipeline, from: DAY, to: DAY, clients: ['a', 'b'] }))
  t.equal(result.exitCode, 0)
  t.same(ended, [])
  t.same(await rows(folder, 'SELECT count(*)::INT AS n FROM ads.campaigns'), [{ n: 4 }])
  t.ok(told.every(message => /^headrace: spans are lost: on(Start|End) is broken/.test(message)) && told.length > 0)
  t.notMatch(told.join('\n'), SECRET)
  faulty.broken = false
  const span = openSpan('headrace.run', {})
  faulty.broken = true
  t.doesNotThrow(() => span.end(new TransientError('INTERNAL', { message: 'x' })))
})

t.test('a process that ends waits for its spans, but not for ever, and not in vain', async t => {
  t.teardown(() => mock.timers.reset())
  let flushed = 0
  faulty.forceFlush = async () => void flushed++
  await flushSpans()
  t.equal(flushed, 1)
  faulty.forceFlush = async () => Promise.reject(new Error('the collector is gone'))
  await t.resolves(flushSpans())
  faulty.forceFlush = () => new Promise(() => undefined)
  mock.timers.enable({ apis: ['setTimeout'] })
  const ended = flushSpans()
  mock.timers.tick(5_000)
  await t.resolves(ended)
})

t.test('a planted secret stands in no span', async t => {
  t.ok(spans.length > 20)
  for (const span of spans) t.notMatch(said(span), SECRET, span.name)
})
