import fc from 'fast-check'
import t from 'tap'
import { cursor, linkHeader, nextUrl, offset, type Paging, pageNumber, pageToken, rest } from '../../connectors/rest/index.ts'
import { RetryBudget } from '../../lib/http/retry.ts'
import { openClient } from '../http/setup.ts'
import { cut, RESET, type Received, type Scripted, type Server, serve } from '../servers/http.ts'

/** One way of paging, as a connector declares it and as an API answers it: the answer for the records from `start` on. */
interface Style {
  pages(size: number): Paging
  /** Where the page begins that a request asks for. */
  start(query: URLSearchParams, size: number): number
  facts(end: number, all: number, size: number): { body?: object; headers?: Record<string, string> }
}

const limit = (records: number): { param: string; records: number } => ({ param: 'limit', records })
const numberIn = (name: string) => (query: URLSearchParams) => Number(query.get(name) ?? 0)
const link = (end: number): string => `/v1/items?from=${end}`

const STYLES: Readonly<Record<string, Style>> = {
  'page token': {
    pages: size => pageToken({ param: 'token', next: 'next', size: limit(size) }),
    start: query => Number((query.get('token') ?? 'at +&=0').slice(6)),
    facts: (end, all) => ({ body: end < all ? { next: `at +&=${end}` } : {} }),
  },
  'number as token': {
    pages: () => pageToken({ param: 'token', next: 'meta.next' }),
    start: numberIn('token'),
    facts: (end, all) => ({ body: { meta: { next: end < all ? end : null } } }),
  },
  'cursor in the body': {
    pages: size => cursor({ param: 'after', more: 'more', next: 'end', size: limit(size) }),
    start: numberIn('after'),
    facts: (end, all) => ({ body: { more: end < all, end } }),
  },
  'last record': {
    pages: () => cursor({ param: 'after', more: 'more', last: 'n' }),
    start: query => Number(query.get('after') ?? -1) + 1,
    facts: (end, all) => ({ body: { more: end < all } }),
  },
  'offset and total': {
    pages: size => offset({ param: 'offset', size: limit(size), total: 'total' }),
    start: numberIn('offset'),
    facts: (_end, all) => ({ body: { total: all } }),
  },
  'offset alone': {
    pages: size => offset({ param: 'offset', size: limit(size) }),
    start: numberIn('offset'),
    facts: () => ({}),
  },
  'page number and count': {
    pages: size => pageNumber({ param: 'page', size: limit(size), first: 0, pages: 'pages' }),
    start: (query, size) => Number(query.get('page')) * size,
    facts: (_end, all, size) => ({ body: { pages: Math.ceil(all / size) } }),
  },
  'page number alone': {
    pages: size => pageNumber({ param: 'page', size: limit(size) }),
    start: (query, size) => (Number(query.get('page')) - 1) * size,
    facts: () => ({}),
  },
  'next address': {
    pages: size => nextUrl({ next: 'next', size: limit(size) }),
    start: numberIn('from'),
    facts: (end, all) => ({ body: { next: end < all ? link(end) : '' } }),
  },
  'link header': {
    pages: () => linkHeader(),
    start: numberIn('from'),
    facts: (end, all) => ({
      headers: { link: end < all ? `<${link(0)}>; rel="first", <${link(end)}>; rel="next"` : '<x>; rel="up"' },
    }),
  },
}

/** Faults that pass: what is sent instead of the right answer. */
const FAULTS = {
  throttle: () => ({ status: 429, headers: { 'retry-after': '1' } }),
  failure: () => ({ status: 500, headers: { 'content-type': 'text/html' }, body: '<html>' }),
  reset: () => RESET,
  cut: (body: unknown) => cut(body),
  half: (body: unknown) => ({ body: JSON.stringify(body).slice(0, -1) }),
} satisfies Record<string, (body: unknown) => Scripted>

const record = fc.record({ value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.double(), fc.constant(null)) })

const api = fc.record({
  values: fc.array(record, { maxLength: 40 }),
  size: fc.integer({ min: 1, max: 15 }),
  /** Before the answer of the n-th page. */
  faults: fc.array(fc.array(fc.constantFrom(...(Object.keys(FAULTS) as (keyof typeof FAULTS)[])), { maxLength: 3 }), {
    maxLength: 10,
  }),
})

t.test('whatever the data, the page size and the faults, every record arrives once and in order', async t => {
  let answer: Scripted = { status: 500 }
  const server: Server = await serve(() => answer)
  const client = openClient({ attempts: 5 }, undefined, { budget: new RetryBudget(1_000_000) })
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  for (const [name, style] of Object.entries(STYLES)) {
    await fc.assert(
      fc.asyncProperty(api, async ({ values, size, faults }) => {
        const data = values.map((value, n) => ({ n, ...value }))
        const left = faults.map(list => [...list])
        answer = ({ query }: Received) => {
          const start = style.start(query, size)
          const end = Math.min(data.length, start + size)
          const { body = {}, headers = {} } = style.facts(end, data.length, size)
          const whole = { data: data.slice(start, end), ...body }
          const fault = left[start / size]?.pop()
          return fault === undefined ? { body: whole, headers } : FAULTS[fault](whole)
        }
        const connector = rest({ name, url: `${server.url}/v1/items`, records: 'data', pages: style.pages(size) })
        const arrived: unknown[] = []
        for await (const page of connector.pages({
          client: 'acme',
          window: { from: '2026-01-01', to: '2026-01-01' },
          signal: client.abort.signal,
          http: client.http,
          sleep: client.sleep,
          now: client.now,
          warn: () => undefined,
        })) {
          arrived.push(...page)
        }
        t.strictSame(arrived, JSON.parse(JSON.stringify(data)), name)
      }),
      { numRuns: 40 },
    )
  }
  t.ok(client.http.usage.retries > 0, `${client.http.usage.retries} faults were met`)
  t.equal(
    client.http.usage.waitedMs,
    client.waits.reduce((sum, wait) => sum + wait, 0),
  )
  t.equal(client.http.usage.requests, client.statuses.length)
})
