import type { Page, PageRequest } from '../connector.ts'
import { absolute, type JsonAnswer } from './client.ts'
import type { Json } from './json.ts'
import type { Paging } from './paginate.ts'
import { type Asked, set, Trail } from './trail.ts'

/** Headers, or a function that gives them for each request; the place for credentials. */
export type Headers = Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)

/** How a list is asked for, where its records stand, and how its pages follow one another. */
export interface PagedList {
  /** Absolute address, with the query of the first page. */
  readonly url: string | URL
  /** Sent as JSON, with POST; the parameters of the paging are set in it. Without it pages are asked for with GET. */
  readonly body?: Json
  readonly headers?: Headers
  /** Dotted path to the array of records, the empty text when the body is the array; or a function that takes them out of the body. */
  readonly records: string | ((body: unknown) => unknown)
  /**
   * Dotted path to a field that shows a body to be an answer although it has no records: for an API that leaves them out where there are none.
   * Without it a body without records is an error.
   */
  readonly emptyShownBy?: string
  readonly pages: Paging
  /** How many records the API gives for one request, however many there are. */
  readonly wall?: Wall
  /** More pages than this are taken for a walk without end. Default 100,000. */
  readonly maxPages?: number
  /** What an answer looks like whose page token has expired; the chunk is then read again from the start. */
  readonly tokenExpired?: TokenExpired
}

/** A limit behind which an API hides the rest of a list. */
export interface Wall {
  readonly records: number
  /** What it means that a list reaches it: `fail` (default), or `warn` where the rest cannot be had in another way. */
  readonly reached?: 'fail' | 'warn'
}

/** The answer to an expired page token. */
export interface TokenExpired {
  readonly status: number
  /** Text that stands in the first 2,000 characters of the body. */
  readonly body?: string
}

/**
 * Reads a list page by page, and asks for the next page while this one is processed. The walk ends only where the API says so; every other
 * ending is an error or a warning with a name. Throws `PAGE_MALFORMED`, `PAGE_CURSOR_REPEATED`, `PAGE_REPEATED`, `PAGES_ENDLESS` and
 * `RESULT_TOO_LARGE`, which wait for a person, and `PAGE_TOTAL_CHANGED` and `PAGE_TOKEN_EXPIRED`, after which the chunk is read again.
 */
export async function* walk<R extends object>(request: PageRequest, list: PagedList): AsyncGenerator<Page<R>> {
  const first = set({ url: absolute(list.url), body: list.body }, list.pages.first)
  const trail = new Trail(request, list, first)
  // The first page has no token that could have expired.
  let answer = ask(request, list, first, undefined)
  for (;;) {
    const { records, next } = trail.step(await (await answer)())
    if (next !== undefined) {
      answer = ask(request, list, next, list.tokenExpired)
      // Its error belongs to whoever awaits it; until then it must not count as unhandled.
      answer.catch(() => undefined)
    }
    yield records as Page<R>
    if (next === undefined) return
  }
}

/** Asks for a page, which is waited for and understood when it is wanted. */
async function ask(
  { http, authorize }: PageRequest,
  { headers = {} }: PagedList,
  { url, body }: Asked,
  expired: TokenExpired | undefined,
): Promise<() => Promise<JsonAnswer>> {
  return http.ahead(url, {
    headers: typeof headers === 'function' ? headers() : headers,
    ...(authorize === undefined ? {} : { authorize }),
    ...(body === undefined ? {} : { method: 'POST', body }),
    ...(expired === undefined
      ? {}
      : {
          classify: ({ status, text }) =>
            status === expired.status && text.includes(expired.body ?? '') ? 'page-token-expired' : undefined,
        }),
  })
}
