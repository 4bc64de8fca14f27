import { withoutCredentials } from '../errors.ts'
import type { JsonAnswer } from './client.ts'
import { at } from './json.ts'

/** Parameters of a request by name: of its query, or, where the request has a body, dotted paths into that. */
export type Parameters = Readonly<Record<string, string | number>>

/** What a paging style learns from one page. */
export interface PageFacts {
  readonly body: unknown
  readonly headers: JsonAnswer['headers']
  readonly records: readonly unknown[]
  /** The address this page came from. */
  readonly url: URL
  /** How many pages were read, this one included. */
  readonly page: number
  /** How many records were read, those of this page included. */
  readonly read: number
  /** How many records the page before this one had; nothing on the first page. */
  readonly previous: number | undefined
  /** The number at `total`, where the style declares one. */
  readonly total: number | undefined
  /** The number at `pageCount`, where the style declares one. */
  readonly pageCount: number | undefined
}

/**
 * What comes after a page: other parameters, or an address; the end; perhaps the end, where an empty page is all that tells it; or a broken
 * promise of the API, as a clause about the page.
 */
export type Next =
  | { readonly set: Parameters; readonly alone?: true; readonly cursor?: string | number }
  | { readonly url: URL }
  | 'end'
  | 'empty'
  | { readonly broken: string }

/** One way of walking through pages. */
export interface Paging {
  /** Parameters of the first request. */
  readonly first: Parameters
  /** Records of a full page, where a full last page is suspicious because only the lack of a next one tells the end. */
  readonly full?: number
  /** Where every page repeats how many records there are in all; the walk must read exactly as many. */
  readonly total?: string
  /** Where every page repeats how many pages there are. */
  readonly pageCount?: string
  readonly next: (page: PageFacts) => Next
}

/** The parameter that asks for a page size, and the size asked for: not more than the API gives. */
export interface PageSize {
  readonly param: string
  readonly records: number
}

/** What every style may declare. */
interface Declared {
  /** Dotted path to the number of all records, which every page repeats. The walk must read exactly as many. */
  readonly total?: string
}

function sizeParam(size: PageSize | undefined): Parameters {
  return size === undefined ? {} : { [size.param]: size.records }
}

function totalAt({ total }: Declared): Pick<Paging, 'total'> {
  return total === undefined ? {} : { total }
}

/** A style in which no next page is the end. */
function untilNone(size: PageSize | undefined, declared: Declared): Omit<Paging, 'next'> {
  const full = size === undefined || declared.total !== undefined ? {} : { full: size.records }
  return { first: sizeParam(size), ...full, ...totalAt(declared) }
}

/** A token, if there is one: text or a number. Absent, null and empty mean that there is no next page. */
function token(value: unknown): string | number | undefined | { readonly broken: string } {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string' || (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER)) return value
  const why = typeof value === 'number' ? ', a number that JSON has rounded' : ''
  return { broken: `its next token is ${withoutCredentials(JSON.stringify(value)).slice(0, 100)}${why}` }
}

/**
 * The body carries a token for the next page; no token is the end. `alone` is for an API whose token stands for the whole query and that refuses
 * the other parameters beside it.
 */
export function pageToken(
  options: { readonly param: string; readonly next: string; readonly size?: PageSize; readonly alone?: true } & Declared,
): Paging {
  const { param, next, size, alone } = options
  return {
    ...untilNone(size, options),
    next: ({ body }) => {
      const found = token(at(body, next))
      if (found === undefined) return 'end'
      if (typeof found === 'object') return found
      return alone
        ? { set: { ...sizeParam(size), [param]: found }, alone, cursor: found }
        : { set: { [param]: found }, cursor: found }
    },
  }
}

/**
 * The body says whether there is more, and the next page begins after a cursor: one in the body (`next`), or a field of the last record
 * (`last`). A cursor on the last page is normal here; `more` alone decides.
 */
export function cursor(
  options: { readonly param: string; readonly more: string; readonly size?: PageSize } & Declared &
    ({ readonly next: string } | { readonly last: string }),
): Paging {
  const { param, more, size } = options
  return {
    first: sizeParam(size),
    ...totalAt(options),
    next: ({ body, records }) => {
      const goOn = at(body, more)
      if (goOn === false) return 'end'
      if (goOn !== true) return { broken: `${more} is ${JSON.stringify(goOn)?.slice(0, 100)}, not true or false` }
      const found = token('next' in options ? at(body, options.next) : at(records.at(-1), options.last))
      if (found === undefined) return { broken: `${more} is true, but there is no cursor to go on from` }
      return typeof found === 'object' ? found : { set: { [param]: found }, cursor: found }
    },
  }
}

/** How a walk without a total ends. */
interface Ending {
  /**
   * `short` (default): a page that is not full is the last one. `empty`: only a page without records is, for an API that leaves records out
   * after it has cut its pages.
   */
  readonly end?: 'short' | 'empty'
}

/**
 * Tells the last page by its size. That a short page is the last one holds only of an API that gives as many records as it is asked for, and
 * one that gives less looks the same. So it is believed once a full page was seen, or of a page that is shorter than another one which
 * turned out to be the last; until then the page after it is asked for. It is never believed again of an API that went on after a short page.
 */
function lastBySize(size: PageSize, { end = 'short' }: Ending): (page: PageFacts) => 'end' | 'empty' | undefined {
  let believed = 0
  let refuted = end === 'empty'
  return ({ records: { length }, previous }) => {
    const afterShort = previous !== undefined && previous < size.records
    if (length === 0) {
      if (afterShort) believed = Math.max(believed, previous)
      return 'empty'
    }
    if (afterShort) refuted = true
    if (length >= size.records) believed = size.records
    return length < believed && !refuted ? 'end' : undefined
  }
}

/**
 * Pages by offset and limit, or by start row. Ends at the total, where the body gives one, else at the first page that is not full. A total
 * that changes between pages means that rows moved under the reader: the chunk is read again.
 */
export function offset(
  options: {
    readonly param: string
    readonly size: PageSize
    /** Number of the first record. Default 0. */
    readonly first?: number
  } & Declared &
    Ending,
): Paging {
  const { param, size, first = 0 } = options
  const last = lastBySize(size, options)
  return {
    first: { ...sizeParam(size), [param]: first },
    ...totalAt(options),
    next: page => {
      const { records, read, total } = page
      const ended = total === undefined ? last(page) : read === total ? 'end' : undefined
      if (ended !== undefined) return ended
      if (records.length === 0) return { broken: `it is empty after ${read} of ${total} records` }
      return { set: { [param]: first + read } }
    },
  }
}

/** Numbered pages. Ends at the number of pages, where the body gives one (`pages`), else at the first page that is not full. */
export function pageNumber(
  options: {
    readonly param: string
    readonly size: PageSize
    /** Number of the first page. Default 1. */
    readonly first?: number
    /** Dotted path to the number of pages, which every page repeats. */
    readonly pages?: string
  } & Declared &
    Ending,
): Paging {
  const { param, size, pages, first = 1 } = options
  const last = lastBySize(size, options)
  return {
    first: { ...sizeParam(size), [param]: first },
    ...totalAt(options),
    ...(pages === undefined ? {} : { pageCount: pages }),
    next: page => {
      const { pageCount } = page
      const ended = pageCount === undefined ? last(page) : page.page >= pageCount ? 'end' : undefined
      return ended ?? { set: { [param]: first + page.page } }
    },
  }
}

/**
 * The next page begins after the last record: a field of it that grows from record to record and is unique, because the records are sorted by
 * it. Ends at the first page that is not full. The way around a wall too: most of those count from where a query begins.
 */
export function lastId(options: { readonly param: string; readonly id: string; readonly size: PageSize } & Ending): Paging {
  const { param, id, size } = options
  const last = lastBySize(size, options)
  return {
    first: sizeParam(size),
    next: page => {
      const ended = last(page)
      if (ended !== undefined) return ended
      const found = token(at(page.records.at(-1), id))
      if (found === undefined) return { broken: `its last record has no ${id} to go on from` }
      return typeof found === 'object' ? found : { set: { [param]: found }, cursor: found }
    },
  }
}

/** The next address, if the API stays with itself: following it elsewhere would hand the credentials to a stranger. */
function sameOrigin({ url: here }: PageFacts, address: string): Next {
  const url = URL.parse(address, here.href)
  if (url === null) return { broken: 'its next address is not a URL' }
  return url.origin === here.origin ? { url } : { broken: `its next address leads away from ${here.origin}, to ${url.origin}` }
}

/** The body carries the whole address of the next page. */
export function nextUrl(options: { readonly next: string; readonly size?: PageSize } & Declared): Paging {
  const { next, size } = options
  return {
    ...untilNone(size, options),
    next: page => {
      const found = token(at(page.body, next))
      if (found === undefined) return 'end'
      return typeof found === 'object' ? found : sameOrigin(page, String(found))
    },
  }
}

/** A `Link` header with `rel="next"` carries the address of the next page (RFC 8288). */
export function linkHeader(options: { readonly size?: PageSize } & Declared = {}): Paging {
  return {
    ...untilNone(options.size, options),
    next: page => {
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
