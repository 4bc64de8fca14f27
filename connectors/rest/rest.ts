import type { Connector, Page, PageRequest } from '../../lib/connector.ts'
import { ConfigError, DataError, TransientError } from '../../lib/errors.ts'
import type { JsonAnswer } from '../../lib/http/client.ts'
import { safeUrl } from '../../lib/http/redact.ts'
import { at, type Next, type Paging } from './paginate.ts'

/** A paginated JSON API, declared. In `url` and `query`, `{client}`, `{from}` and `{to}` stand for the chunk that is read. */
export interface RestOptions {
  readonly name: string
  /** Absolute address, or a function of nothing that gives it when it is first needed. */
  readonly url: string | (() => string)
  readonly query?: Readonly<Record<string, string | number>>
  /** Headers, or a function that gives them for each page; the place for credentials. */
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)
  /** Dotted path to the array of records; the empty text when the body is the array. */
  readonly records: string
  readonly pages: Paging
  /** More pages than this for one chunk is taken for a walk without end. Default 100,000. */
  readonly maxPages?: number
  /** What an answer looks like whose page token has expired; the chunk is then read again from the start. */
  readonly tokenExpired?: TokenExpired
}

interface TokenExpired {
  readonly status: number
  /** Text that stands in the first 2,000 characters of the body. */
  readonly body?: string
}

/**
 * A connector for any paginated JSON API. `R` is the type of one record as the API documents it. The next page is asked for while this one is
 * processed. A walk ends only where the API says so; every other ending is an error or a warning with a name.
 */
export function rest<R extends object>(options: RestOptions): Connector<R> {
  return { name: options.name, pages: request => walk<R>(options, request) }
}

async function* walk<R>(options: RestOptions, request: PageRequest): AsyncGenerator<Page<R>> {
  const { pages, maxPages = 100_000, tokenExpired } = options
  const next = pages.walk()
  const seen = new Set<string>()
  let previous = ''
  let url = firstUrl(options, request)
  // The first page has no token that could have expired.
  let answer = askFor(options, request, url, undefined)
  for (let count = 1; ; count++) {
    const { body, headers } = await (await answer)()
    const records = recordsOf(options, url, body)
    const sample = sampleOf(records)
    if (records.length > 1 && sample === previous) throw repeatedPage(url, count)
    previous = sample
    const after = next({ body, headers, records, url })
    if (after === 'end') {
      if (records.length === pages.full) {
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
    answer = askFor(options, request, url, tokenExpired)
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

/** Records that tell one page from the next, without keeping either. */
const SAMPLED = 16

function sampleOf(records: readonly unknown[]): string {
  const step = Math.max(1, Math.floor(records.length / SAMPLED))
  return JSON.stringify([records.length, records.at(-1), records.filter((_, index) => index % step === 0)])
}

function repeatedPage(url: URL, count: number): DataError {
  return new DataError('PAGE_REPEATED', {
    message: `${safeUrl(url)}: page ${count} is page ${count - 1} again`,
    hint: 'Nothing of this chunk was published. The API ignores the paging parameter, or numbers its pages in another way.',
  })
}

function firstUrl({ name, url, query = {}, pages }: RestOptions, { client, window }: PageRequest): URL {
  const values: Readonly<Record<string, string>> = { client, from: window.from, to: window.to }
  const fill = (text: string, encode = (value: string) => value): string =>
    text.replace(/\{(client|from|to)\}/g, (_, placeholder: string) => encode(values[placeholder] ?? ''))
  const address = fill(typeof url === 'string' ? url : url(), encodeURIComponent)
  const first = URL.parse(address)
  if (first === null) {
    throw new ConfigError('CONFIG_INVALID', {
      message: `connector ${name}: ${JSON.stringify(address.split('?')[0])} is not an absolute address`,
      hint: 'Nothing was sent. Correct the url of the connector.',
    })
  }
  for (const [param, value] of Object.entries({ ...query, ...pages.first })) first.searchParams.set(param, fill(String(value)))
  return first
}

/** Asks for a page, which is waited for and understood when it is wanted. */
async function askFor(
  { headers = {} }: RestOptions,
  { http }: PageRequest,
  url: URL,
  expired: TokenExpired | undefined,
): Promise<() => Promise<JsonAnswer>> {
  return http.ahead(url, {
    headers: typeof headers === 'function' ? headers() : headers,
    ...(expired === undefined
      ? {}
      : { tokenExpired: (status, body) => status === expired.status && body.includes(expired.body ?? '') }),
  })
}

function recordsOf({ records: path }: RestOptions, url: URL, body: unknown): readonly unknown[] {
  const records = at(body, path)
  if (Array.isArray(records)) return records
  throw new DataError('PAGE_MALFORMED', {
    message: `${safeUrl(url)}: no array of records at ${path === '' ? 'the top' : path} (the body is ${shapeOf(body)})`,
    hint: 'Nothing of this chunk was published. Either the answer is an error in disguise, or `records` of the connector is wrong.',
  })
}

function shapeOf(body: unknown): string {
  if (Array.isArray(body)) return `an array of ${body.length}`
  if (typeof body !== 'object' || body === null) return body === null ? 'null' : `a ${typeof body}`
  return `an object with the keys ${Object.keys(body).slice(0, 10).join(', ').slice(0, 300)}`
}
