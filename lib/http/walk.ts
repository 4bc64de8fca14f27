import type { Page, PageRequest } from '../connector.ts'
import { absolute, type JsonAnswer } from './client.ts'
import type { Paging } from './paginate.ts'
import { type Question, requestOf } from './question.ts'
import { type Asked, set, Trail } from './trail.ts'

/** How a list is asked for, where its records stand, and how its pages follow one another. */
export interface PagedList extends Question {
  readonly records: Records
  /**
   * Dotted path to a field that shows a body to be an answer although it has no records: for an API that leaves them out where there are none.
   * Without it a body without records is an error.
   */
  readonly emptyShownBy?: string
  /** How one page follows another. The parameters are set in the query of the address, or in the body, where there is one. */
  readonly pages: Paging
  /** Dotted path to what all records of the list add up to, in the body of one page at least. */
  readonly totals?: string
  /** How many records the API gives for one request, however many there are. */
  readonly wall?: Wall
  /** More pages than this are taken for a walk without end. Default 100,000. */
  readonly maxPages?: number
  /** What an answer looks like whose page token has expired; the chunk is then read again from the start. */
  readonly tokenExpired?: TokenExpired
}

/** Dotted path to an array of records, the empty text for the whole; or a function that takes them out of what holds them. */
export type Records = string | ((body: unknown) => unknown)

/** A limit behind which an API hides the rest of a list. */
export interface Wall {
  readonly records: number
  /** What follows when a list reaches it: `fail` (default) with `WINDOW_TOO_LARGE`, or `warn` where the rest cannot be had in another way. */
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
 * ending is an error or a warning with a name. Throws `PAGE_MALFORMED`, `PAGE_CURSOR_REPEATED`, `PAGE_REPEATED` and `PAGES_ENDLESS`,
 * which wait for a person; `PAGE_TOTAL_CHANGED` and `PAGE_TOKEN_EXPIRED`, after which the chunk is read again; and `WINDOW_TOO_LARGE`.
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
  request: PageRequest,
  { headers }: PagedList,
  { url, body }: Asked,
  expired: TokenExpired | undefined,
): Promise<() => Promise<JsonAnswer>> {
  return request.http.ahead(url, {
    ...requestOf(request, { headers, body }),
    ...(expired === undefined
      ? {}
      : {
          classify: ({ status, text }) =>
            status === expired.status && text.includes(expired.body ?? '') ? 'page-token-expired' : undefined,
        }),
  })
}
