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
  /** Query parameters of the first request. */
  readonly first: Readonly<Record<string, string>>
  /** Records of a full page, where a full last page is suspicious because only the lack of a next one tells the end. */
  readonly full?: number
  readonly walk: () => (page: PageFacts) => Next
}

/** The query parameter that asks for a page size, and the size asked for: not more than the API gives. */
export interface PageSize {
  readonly param: string
  readonly records: number
}

function sizeParam(size: PageSize | undefined): Record<string, string> {
  return size === undefined ? {} : { [size.param]: String(size.records) }
}

function sized(size: PageSize | undefined): Pick<Paging, 'first' | 'full'> {
  return size === undefined ? { first: {} } : { first: sizeParam(size), full: size.records }
}

/**
 * The value at a dotted path, or undefined where the path leaves the data. A key that itself contains dots, like `@odata.nextLink`, is found
 * where it stands last in the path.
 */
export function at(value: unknown, path: string): unknown {
  if (path === '') return value
  if (typeof value !== 'object' || value === null) return undefined
  const fields = value as Readonly<Record<string, unknown>>
  if (Object.hasOwn(fields, path)) return fields[path]
  const dot = path.indexOf('.')
  return dot === -1 || !Object.hasOwn(fields, path.slice(0, dot))
    ? undefined
    : at(fields[path.slice(0, dot)], path.slice(dot + 1))
}

function withParam(url: URL, name: string, value: string): URL {
  const next = new URL(url)
  next.searchParams.set(name, value)
  return next
}

/** A token, if there is one: text or a number. Absent, null and empty mean that there is no next page. */
function token(value: unknown): string | undefined | { readonly broken: string } {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string' || (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER)) return String(value)
  const why = typeof value === 'number' ? ', a number that JSON has rounded' : ''
  return { broken: `its next token is ${JSON.stringify(value).slice(0, 100)}${why}` }
}

function follow(page: PageFacts, param: string, found: ReturnType<typeof token>): Next {
  if (found === undefined) return 'end'
  return typeof found === 'string' ? { url: withParam(page.url, param, found), cursor: found } : found
}

/** The body carries a token for the next page; no token is the end. */
export function pageToken(options: { readonly param: string; readonly next: string; readonly size?: PageSize }): Paging {
  const { param, next, size } = options
  return {
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
    first: sizeParam(size),
    walk: () => page => {
      const goOn = at(page.body, more)
      if (goOn === false) return 'end'
      if (goOn !== true) return { broken: `${more} is ${JSON.stringify(goOn)?.slice(0, 100)}, not true or false` }
      const found = token('next' in options ? at(page.body, options.next) : at(page.records.at(-1), options.last))
      return found === undefined
        ? { broken: `${more} is true, but there is no cursor to go on from` }
        : follow(page, param, found)
    },
  }
}

/** Reads a count that every page repeats; another one than before means that rows moved under the reader. */
function steady(path: string): (body: unknown) => number | Exclude<Next, 'end'> {
  let before: number | undefined
  return body => {
    const count = at(body, path)
    if (typeof count !== 'number') return { broken: `${path} is ${JSON.stringify(count)?.slice(0, 100)}, not a number` }
    if (before !== undefined && count !== before) return { drifted: `${path} went from ${before} to ${count} between two pages` }
    before = count
    return count
  }
}

/**
 * Pages by offset and limit. Ends at the total, where the body gives one (`total`), else at the first page that is not full. A total that
 * changes between pages means that rows moved under the reader: the chunk is read again.
 */
export function offset(options: { readonly param: string; readonly size: PageSize; readonly total?: string }): Paging {
  const { param, size, total } = options
  return {
    first: { ...sizeParam(size), [param]: '0' },
    walk: () => {
      const count = total === undefined ? undefined : steady(total)
      let read = 0
      return ({ body, records, url }) => {
        read += records.length
        const all = count?.(body)
        if (typeof all === 'object') return all
        if (all === undefined ? records.length < size.records : read === all) return 'end'
        if (all !== undefined && read > all) return { broken: `it makes ${read} records, but ${total} is ${all}` }
        if (records.length === 0) return { broken: `it is empty after ${read} of ${all} records` }
        return { url: withParam(url, param, String(read)) }
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
    first: { ...sizeParam(size), [param]: String(first) },
    walk: () => {
      const count = pages === undefined ? undefined : steady(pages)
      let read = 0
      return ({ body, records, url }) => {
        read++
        const all = count?.(body)
        if (typeof all === 'object') return all
        if (all === undefined ? records.length < size.records : read >= all) return 'end'
        return { url: withParam(url, param, String(first + read)) }
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
