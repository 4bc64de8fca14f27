import type { Connector, Page, PageRequest } from '../../lib/connector.ts'
import { DataError, TransientError } from '../../lib/errors.ts'
import { type JsonAnswer, safeUrl } from '../../lib/http/client.ts'
import { at, type Next, type Paging } from './paginate.ts'

/** A paginated JSON API, declared. In `url` and `query`, `{client}`, `{from}` and `{to}` stand for the chunk that is read. */
export interface RestOptions {
  readonly name: string
  /** Absolute address, or a function of nothing that gives it when it is first needed. */
  readonly url: string | (() => string)
  readonly query?: Readonly<Record<string, string | number>>
  /** Headers, or a function that gives them for each request; the place for credentials. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)
  /** Dotted path to the array of records; the empty text when the body is the array. */
  readonly records: string
  readonly pages: Paging
  /** More pages than this for one chunk is taken for a walk without end. Default 100,000. */
  readonly maxPages?: number
  /** What an answer looks like whose page token has expired; the chunk is then read again from the start. */
  readonly tokenExpired?: { readonly status: number; readonly body?: string }
}

/**
 * A connector for any paginated JSON API. `R` is the type of one record as the API documents it. The next page is asked for while this one is
 * processed. A walk ends only where the API says so; every other ending is an error or a warning with a name.
 */
export function rest<R extends object>(options: RestOptions): Connector<R> {
  return { name: options.name, pages: request => walk<R>(options, request) }
}

async function* walk<R>(options: RestOptions, request: PageRequest): AsyncGenerator<Page<R>> {
  const { pages, maxPages = 100_000 } = options
  const next = pages.walk()
  const seen = new Set<string>()
  let previous = ''
  let url = firstUrl(options, request)
  let answer = fetchPage(options, request, url)
  for (let count = 1; ; count++) {
    const { body, headers } = await answer
    const records = recordsOf(options, url, body)
    const edges = edgesOf(records)
    if (edges !== '' && edges === previous) throw repeatedPage(url, count)
    previous = edges
    const after = next({ body, headers, records, url })
    if (after === 'end') {
      if (
        pages.size === records.length &&
        (pages.style === 'page-token' || pages.style === 'next-url' || pages.style === 'link-header')
      ) {
        request.warn(
          'PAGE_FULL_WITHOUT_NEXT',
          `${safeUrl(url)}: page ${count} holds exactly ${records.length} records and names no next page`,
        )
      }
      yield records as Page<R>
      return
    }
    url = follow(after, url, count, seen)
    if (count >= maxPages) {
      throw new DataError('PAGES_ENDLESS', {
        message: `${safeUrl(url)}: ${count} pages, and the API names another one`,
        hint: 'Nothing of this chunk was published. Use shorter windows or larger pages, or raise maxPages of the connector.',
      })
    }
    answer = fetchPage(options, request, url)
    // Its error belongs to whoever awaits it; until then it must not count as unhandled.
    answer.catch(() => undefined)
    yield records as Page<R>
  }
}

function follow(next: Exclude<Next, 'end'>, url: URL, count: number, seen: Set<string>): URL {
  const where = `${safeUrl(url)}, page ${count}`
  if ('broken' in next) {
    throw new DataError('PAGE_MALFORMED', {
      message: `${where}: ${next.broken}`,
      hint: 'Nothing of this chunk was published. Compare the paging declared in the connector with what the API documents.',
    })
  }
  if ('drifted' in next) {
    throw new TransientError('PAGE_TOTAL_CHANGED', {
      message: `${where}: ${next.drifted}`,
      hint: 'Rows moved while they were read, so some may be missing or doubled. The chunk is read again.',
    })
  }
  if (next.cursor !== undefined) {
    if (seen.has(next.cursor)) {
      throw new DataError('PAGE_CURSOR_REPEATED', {
        message: `${where}: the next page is one that was already read (of ${seen.size + 1})`,
        hint: 'Nothing of this chunk was published. Following it would never end; report it to the makers of the API.',
      })
    }
    seen.add(next.cursor)
  }
  return next.url
}

function repeatedPage(url: URL, count: number): DataError {
  return new DataError('PAGE_REPEATED', {
    message: `${safeUrl(url)}: page ${count} is page ${count - 1} again`,
    hint: 'Nothing of this chunk was published. The API ignores the paging parameter, or numbers its pages in another way.',
  })
}

/** The first and last record and the count: enough to tell one page from the next without keeping it. */
function edgesOf(records: readonly unknown[]): string {
  return records.length < 2 ? '' : `${records.length} ${JSON.stringify(records[0])} ${JSON.stringify(records.at(-1))}`
}

function firstUrl({ url, query = {}, pages }: RestOptions, { client, window }: PageRequest): URL {
  const values: Readonly<Record<string, string>> = { client, from: window.from, to: window.to }
  const fill = (text: string, encode: (value: string) => string): string =>
    text.replace(/\{(client|from|to)\}/g, (_, name: string) => encode(values[name] ?? ''))
  const first = new URL(fill(typeof url === 'string' ? url : url(), encodeURIComponent))
  for (const [name, value] of Object.entries({ ...query, ...pages.first })) {
    first.searchParams.set(
      name,
      fill(String(value), value => value),
    )
  }
  return first
}

function fetchPage({ headers, tokenExpired }: RestOptions, { http }: PageRequest, url: URL): Promise<JsonAnswer> {
  return http.json(url, {
    headers: typeof headers === 'function' ? headers() : (headers ?? {}),
    ...(tokenExpired === undefined
      ? {}
      : { tokenExpired: (status, body) => status === tokenExpired.status && body.includes(tokenExpired.body ?? '') }),
  })
}

function recordsOf({ records: path }: RestOptions, url: URL, body: unknown): readonly unknown[] {
  const records = at(body, path)
  if (Array.isArray(records)) return records
  const keys = typeof body === 'object' && body !== null ? Object.keys(body).slice(0, 10).join(', ') : typeof body
  throw new DataError('PAGE_MALFORMED', {
    message: `${safeUrl(url)}: no array of records at ${path === '' ? 'the top' : path} (the body has: ${keys})`,
    hint: 'Nothing of this chunk was published. Either the answer is an error in disguise, or `records` of the connector is wrong.',
  })
}
