import type { JsonAnswer } from '../../lib/http/client.ts'

/** What a paging style learns from one page. */
export interface PageFacts {
  readonly body: unknown
  readonly headers: JsonAnswer['headers']
  readonly records: readonly unknown[]
  /** The address this page came from. */
  readonly url: URL
}

/** What comes after a page: an address, the end, or a broken promise of the API, as a clause about it. */
export type Next =
  | { readonly url: URL; readonly cursor?: string }
  | 'end'
  | { readonly broken: string }
  | { readonly drifted: string }

/** One way of walking through pages. `walk` is called once per chunk and keeps whatever the walk has to remember. */
export interface Paging {
  readonly style: 'page-token' | 'cursor' | 'offset' | 'page-number' | 'next-url' | 'link-header'
  /** Query parameters of the first request. */
  readonly first: Readonly<Record<string, string>>
  /** Records of a full page, where it is known. */
  readonly size?: number
  readonly walk: () => (page: PageFacts) => Next
}

/** The query parameter that asks for a page size, and the size asked for. */
export interface PageSize {
  readonly param: string
  readonly records: number
}

function sizeParam(size: PageSize | undefined): Record<string, string> {
  return size === undefined ? {} : { [size.param]: String(size.records) }
}

function sized(size: PageSize | undefined): { size?: number } {
  return size === undefined ? {} : { size: size.records }
}

/** The value at a dotted path, or undefined where the path leaves the data. */
export function at(value: unknown, path: string): unknown {
  let here = value
  for (const key of path === '' ? [] : path.split('.')) {
    if (typeof here !== 'object' || here === null) return undefined
    here = (here as Readonly<Record<string, unknown>>)[key]
  }
  return here
}

function withParam(url: URL, name: string, value: string): URL {
  const next = new URL(url)
  next.searchParams.set(name, value)
  return next
}

/** A token, if there is one: text or a number. Absent, null and empty mean that there is no next page. */
function token(value: unknown): string | undefined | { readonly broken: string } {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  return { broken: `its next token is ${JSON.stringify(value).slice(0, 100)}` }
}

function follow(page: PageFacts, param: string, found: ReturnType<typeof token>): Next {
  if (found === undefined) return 'end'
  return typeof found === 'string' ? { url: withParam(page.url, param, found), cursor: found } : found
}

/** The body carries a token for the next page; no token is the end. */
export function pageToken(options: { readonly param: string; readonly next: string; readonly size?: PageSize }): Paging {
  const { param, next, size } = options
  return {
    style: 'page-token',
    first: sizeParam(size),
    ...sized(size),
    walk: () => page => follow(page, param, token(at(page.body, next))),
  }
}

/**
 * The body says whether there is more, and the next page begins after a cursor: one in the body (`next`), or a field of the last record
 * (`last`). A cursor on the last page is normal here; `more` alone decides.
 */
export function cursor(
  options: { readonly param: string; readonly more: string; readonly size?: PageSize } & (
    | { readonly next: string }
    | { readonly last: string }
  ),
): Paging {
  const { param, more, size } = options
  return {
    style: 'cursor',
    first: sizeParam(size),
    ...sized(size),
    walk: () => page => {
      const goOn = at(page.body, more)
      if (goOn === false) return 'end'
      if (goOn !== true) return { broken: `${more} is ${JSON.stringify(goOn)}, not true or false` }
      const found = token('next' in options ? at(page.body, options.next) : at(page.records.at(-1), options.last))
      return found === undefined
        ? { broken: `${more} is true, but there is no cursor to go on from` }
        : follow(page, param, found)
    },
  }
}

/**
 * Pages by offset and limit. Ends at the total, where the body gives one (`total`), else at the first page that is not full. A total that
 * changes between pages means that rows moved under the reader: the chunk is read again.
 */
export function offset(options: { readonly param: string; readonly size: PageSize; readonly total?: string }): Paging {
  const { param, size, total } = options
  return {
    style: 'offset',
    first: { ...sizeParam(size), [param]: '0' },
    ...sized(size),
    walk: () => {
      let read = 0
      let expected: number | undefined
      return page => {
        read += page.records.length
        if (total !== undefined) {
          const now = at(page.body, total)
          if (typeof now !== 'number') return { broken: `${total} is ${JSON.stringify(now)}, not a number` }
          if (expected !== undefined && now !== expected)
            return { drifted: `${total} went from ${expected} to ${now} between two pages` }
          expected = now
          if (read >= now) return 'end'
          if (page.records.length === 0) return { broken: `a page is empty after ${read} of ${now} records` }
        } else if (page.records.length < size.records) {
          return 'end'
        }
        return { url: withParam(page.url, param, String(read)) }
      }
    },
  }
}

/** Numbered pages. Ends at the number of pages, where the body gives one (`pages`), else at the first page that is not full. */
export function pageNumber(options: {
  readonly param: string
  readonly size: PageSize
  /** Number of the first page. Default 1. */
  readonly first?: number
  readonly pages?: string
}): Paging {
  const { param, size, pages, first = 1 } = options
  return {
    style: 'page-number',
    first: { ...sizeParam(size), [param]: String(first) },
    ...sized(size),
    walk: () => {
      let number = first
      return page => {
        if (pages !== undefined) {
          const last = at(page.body, pages)
          if (typeof last !== 'number') return { broken: `${pages} is ${JSON.stringify(last)}, not a number` }
          if (number - first + 1 >= last) return 'end'
        } else if (page.records.length < size.records) {
          return 'end'
        }
        number++
        return { url: withParam(page.url, param, String(number)) }
      }
    },
  }
}

/** The next address, if the API stays with itself: following it elsewhere would hand the credentials to a stranger. */
function sameOrigin(page: PageFacts, address: string): Next {
  const url = URL.parse(address, page.url.href)
  if (url === null) return { broken: 'its next address is not a URL' }
  if (url.origin !== page.url.origin) return { broken: `its next address leads away from ${page.url.origin}, to ${url.origin}` }
  return { url, cursor: url.href }
}

/** The body carries the whole address of the next page. */
export function nextUrl(options: { readonly next: string; readonly size?: PageSize }): Paging {
  const { next, size } = options
  return {
    style: 'next-url',
    first: sizeParam(size),
    ...sized(size),
    walk: () => page => {
      const found = token(at(page.body, next))
      if (found === undefined) return 'end'
      return typeof found === 'string' ? sameOrigin(page, found) : found
    },
  }
}

/** A `Link` header with `rel="next"` carries the address of the next page (RFC 8288). */
export function linkHeader(options: { readonly size?: PageSize } = {}): Paging {
  return {
    style: 'link-header',
    first: sizeParam(options.size),
    ...sized(options.size),
    walk: () => page => {
      const header = page.headers.link
      const next = nextLink(Array.isArray(header) ? header.join(', ') : (header ?? ''))
      return next === undefined ? 'end' : sameOrigin(page, next)
    },
  }
}

/** The target of the first link whose relations include `next`. Commas inside <…> and inside quotes separate nothing. */
function nextLink(header: string): string | undefined {
  for (const [, target, parameters = ''] of header.matchAll(
    /<([^>]*)>((?:\s*;\s*[^=;,\s]+(?:\s*=\s*(?:"(?:\\.|[^"\\])*"|[^;,"]*))?)*)/g,
  )) {
    for (const [, name = '', quoted, bare] of parameters.matchAll(/;\s*([^=;,\s]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;,"]*))/g)) {
      if (name.toLowerCase() === 'rel' && (quoted ?? bare ?? '').toLowerCase().split(/\s+/).includes('next')) return target
    }
  }
  return undefined
}
