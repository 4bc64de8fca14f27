import { graphql } from '../../connectors/graphql/index.ts'
import { report } from '../../connectors/report/index.ts'
import {
  cursor,
  type Format,
  jsonArray,
  jsonLines,
  lastId,
  linkHeader,
  nextUrl,
  offset,
  type PagedOptions,
  pageNumber,
  pageToken,
  rest,
} from '../../connectors/rest/index.ts'
import type { Connector } from '../../lib/connector.ts'
import type { ApiReply, ApiRequest, ConnectorHost } from '../../lib/testing/connector.ts'

/** A record of the test APIs: its number, and whatever else. */
export interface Numbered {
  readonly n: number
}

/** What an API is asked for: where in the data to begin. */
interface Part {
  readonly start: number
  readonly data: readonly Numbered[]
  readonly size: number
  /** A page without records, from which everything that is left can still be reached. */
  readonly empty: boolean
}

/** One way of answering in parts, and the connector for it. */
interface Style {
  connector(url: string, size: number): Connector<unknown>
  answer(asked: ApiRequest, data: readonly Numbered[], size: number, empty: boolean): ApiReply
  /** What the API states of all records. Default nothing. */
  totals?(data: readonly Numbered[]): object
}

const SECRET = 'planted-secret-token'
const headers = { authorization: `Bearer ${SECRET}` }
const limit = (records: number): { param: string; records: number } => ({ param: 'limit', records })

let tokens = 0

/** The place a page ends at, as a token that no other page has. */
function token(end: number): string {
  return `${end}&+=${++tokens}`
}

function pieceOf({ start, data, size, empty }: Part): { records: readonly Numbered[]; end: number; more: boolean } {
  const end = empty ? start : Math.min(data.length, start + size)
  return { records: data.slice(start, end), end, more: end < data.length }
}

function paged(
  pages: (size: number) => PagedOptions['pages'],
  start: (query: URLSearchParams, size: number) => number,
  facts: (
    piece: ReturnType<typeof pieceOf>,
    part: Part,
    asked: ApiRequest,
  ) => { body?: object; headers?: Record<string, string> },
  more: Pick<PagedOptions, 'totals'> = {},
): Style {
  return {
    connector: (url, size) =>
      rest({
        ...{ name: 'items', url: `${url}/v1/{client}`, query: { key: SECRET }, headers, records: 'data', pages: pages(size) },
        tokenExpired: { status: 410, body: 'EXPIRED' },
        ...more,
      }),
    answer: (asked, data, size, empty) => {
      const part = { start: start(asked.url.searchParams, size), data, size, empty }
      const piece = pieceOf(part)
      const { body, headers = {} } = facts(piece, part, asked)
      return { headers, body: { data: piece.records, ...body } }
    },
  }
}

function posted(
  pages: (size: number) => PagedOptions['pages'],
  start: (body: Readonly<Record<string, string | number | undefined>>) => number,
  facts: (piece: ReturnType<typeof pieceOf>, part: Part) => object,
): Style {
  return {
    connector: (url, size) =>
      rest({
        ...{ name: 'items', url: `${url}/v1/{client}/search`, headers, records: 'data', pages: pages(size) },
        ...{ body: { from: '{from}', to: '{until}', key: SECRET }, tokenExpired: { status: 410, body: 'EXPIRED' } },
      }),
    answer: (asked, data, size, empty) => {
      const part = { start: start(JSON.parse(asked.body)), data, size, empty }
      const piece = pieceOf(part)
      return { body: { data: piece.records, ...facts(piece, part) } }
    },
  }
}

function streamed(stream: Format, body: (data: readonly Numbered[], size: number) => unknown): Style {
  return {
    connector: url => rest({ name: 'stream', url: `${url}/{client}`, headers, stream }),
    answer: (_asked, data, size) => ({ body: body(data, size) }),
  }
}

const place = (text: string | number | null | undefined): number => Number.parseInt(String(text ?? 0), 10)
const numberIn = (name: string) => (query: URLSearchParams) => place(query.get(name))
const link = ({ url }: ApiRequest, end: number): string => `${url.pathname}?key=${SECRET}&from=${encodeURIComponent(token(end))}`
const sumOf = (data: readonly Numbered[]): object => ({ n: data.reduce((sum, { n }) => sum + n, 0) })
const lines = (data: readonly Numbered[]): string => data.map(record => `${JSON.stringify(record)}\n`).join('')

const jobs: Pick<Style, 'answer'> = {
  answer: ({ method, url }, data, size, empty) => {
    if (method === 'POST') return { body: { run: { id: 'r-1' } } }
    if (url.pathname.endsWith('/file')) return { body: lines(data) }
    if (url.pathname.endsWith('/r-1')) return { body: { state: 'DONE', percent: 100, file: '/file', rows: String(data.length) } }
    const piece = pieceOf({ start: place(url.searchParams.get('from')), data, size, empty })
    const next = piece.more ? `${url.pathname}?from=${encodeURIComponent(token(piece.end))}` : null
    return { body: { data: piece.records, next, total: data.length } }
  },
}
const create = (url: string) => ({ url: `${url}/{client}/reports`, body: { from: '{from}' }, id: 'run.id' })
const poll = (url: string) => ({
  url: `${url}/reports/{report}`,
  state: 'state',
  ready: ['DONE'],
  running: [],
  percent: 'percent',
})

/** Every style of every connector. */
export const STYLES: Readonly<Record<string, Style>> = {
  'page token': paged(
    size => pageToken({ param: 'token', next: 'next', size: limit(size) }),
    numberIn('token'),
    ({ end, more }) => ({ body: more ? { next: token(end) } : {} }),
  ),
  'page token with totals': {
    ...paged(
      size => pageToken({ param: 'token', next: 'next', size: limit(size) }),
      numberIn('token'),
      ({ end, more }, { data }) => ({ body: { ...(more ? { next: token(end) } : { summary: sumOf(data) }) } }),
      { totals: 'summary' },
    ),
    totals: sumOf,
  },
  'offset and a request for totals': {
    connector: (url, size) =>
      rest({
        ...{ name: 'items', url: `${url}/v1/{client}`, headers, records: 'data' },
        pages: offset({ param: 'offset', size: limit(size) }),
        totals: { url: `${url}/v1/{client}/account`, query: { from: '{from}', to: '{to}' }, at: 'account' },
      }),
    answer: ({ url }, data, size, empty) => {
      if (url.pathname.endsWith('/account')) return { body: { account: sumOf(data) } }
      const { records } = pieceOf({ start: numberIn('offset')(url.searchParams), data, size, empty })
      return { body: { data: records } }
    },
    totals: sumOf,
  },
  'page token with a total': paged(
    () => pageToken({ param: 'token', next: 'meta.next', total: 'meta.total' }),
    numberIn('token'),
    ({ end, more }, { data }) => ({ body: { meta: { next: more ? token(end) : null, total: String(data.length) } } }),
  ),
  'page token in the body': posted(
    size => pageToken({ param: 'page.token', next: 'next', size: limit(size) }),
    body => place(Object(body.page).token),
    ({ end, more }) => ({ next: more ? token(end) : '' }),
  ),
  'cursor in the body': paged(
    size => cursor({ param: 'after', more: 'more', next: 'end', size: limit(size) }),
    numberIn('after'),
    ({ end, more }) => ({ body: { more, end: token(end) } }),
  ),
  'last record': paged(
    () => cursor({ param: 'after', more: 'more', last: 'n' }),
    query => Number(query.get('after') ?? -1) + 1,
    ({ more }) => ({ body: { more } }),
  ),
  'last id': posted(
    size => lastId({ param: 'after', id: 'n', size: limit(size) }),
    ({ after = -1 }) => Number(after) + 1,
    () => ({}),
  ),
  'offset and total': paged(
    size => offset({ param: 'offset', size: limit(size), total: 'total' }),
    numberIn('offset'),
    (_piece, { data }) => ({ body: { total: data.length } }),
  ),
  'start row': posted(
    size => offset({ param: 'startRow', size: limit(size), first: 1 }),
    ({ startRow }) => Number(startRow) - 1,
    () => ({}),
  ),
  'page number and count': paged(
    size => pageNumber({ param: 'page', size: limit(size), first: 0, pages: 'pages', total: 'total' }),
    (query, size) => Number(query.get('page')) * size,
    (_piece, { data, size }) => ({ body: { pages: Math.ceil(data.length / size), total: data.length } }),
  ),
  'page number alone': paged(
    size => pageNumber({ param: 'page', size: limit(size) }),
    (query, size) => (Number(query.get('page')) - 1) * size,
    () => ({}),
  ),
  'next address': paged(
    size => nextUrl({ next: 'links.next', size: limit(size) }),
    numberIn('from'),
    ({ end, more }, _part, asked) => ({ body: { links: { next: more ? link(asked, end) : '' } } }),
  ),
  'link header': paged(
    size => linkHeader({ size: limit(size) }),
    numberIn('from'),
    ({ end, more }, _part, asked) => ({ headers: { link: more ? `<${link(asked, end)}>; rel="next"` : '<x>; rel="up"' } }),
  ),
  graphql: {
    connector: url =>
      graphql({
        name: 'graph',
        url: `${url}/{client}/graphql`,
        headers,
        query: '{}',
        connection: 'shop.orders',
        total: 'totalCount',
        totals: 'shop.sums',
      }),
    answer: ({ body }, data, size, empty) => {
      const { records, end, more } = pieceOf({ start: place(JSON.parse(body).variables.after), data, size, empty })
      const pageInfo = { hasNextPage: more, endCursor: token(end) }
      const orders = { edges: records.map(node => ({ node })), pageInfo, totalCount: data.length }
      return { body: { data: { shop: { orders, sums: sumOf(data) } } } }
    },
    totals: sumOf,
  },
  'report in pages': {
    ...jobs,
    connector: url =>
      report({
        ...{ name: 'report', headers, create: create(url), poll: poll(url) },
        download: { url: `${url}/pages/{report}/rows`, records: 'data', pages: nextUrl({ next: 'next', total: 'total' }) },
      }),
  },
  'report as a file': {
    ...jobs,
    connector: url =>
      report({
        ...{ name: 'report', headers, create: create(url), poll: poll(url) },
        download: { file: 'file', format: jsonLines(), total: 'rows' },
      }),
  },
  'streamed array': streamed(jsonArray({ at: 'data.rows' }), data => JSON.stringify({ data: { rows: data }, end: true })),
  'streamed batches': streamed(jsonArray({ batch: 'results' }), (data, size) =>
    Array.from({ length: Math.ceil(data.length / size) }, (_, at) => ({ results: data.slice(at * size, (at + 1) * size) })),
  ),
  'JSON lines': streamed(jsonLines(), lines),
}

/** An API of a style with such data, for the conformance kit. */
export function hostOf({ connector, answer, totals }: Style, data: readonly Numbered[], size: number): ConnectorHost {
  return {
    connector: url => connector(url, size),
    answer: asked => answer(asked, data, size, false),
    ...{ client: 'acme', window: { from: '2026-01-01', to: '2026-01-03' }, records: data, secrets: [SECRET] },
    ...(totals === undefined ? {} : { totals: totals(data) }),
  }
}
