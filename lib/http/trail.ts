import { hash } from 'node:crypto'
import type { PageRequest } from '../connector.ts'
import { DataError, TransientError } from '../errors.ts'
import { tooLarge } from './answer.ts'
import type { JsonAnswer } from './client.ts'
import { at, type Json, shapeOf, withAt } from './json.ts'
import type { Next, PageFacts, Parameters } from './paginate.ts'
import { safeUrl } from './redact.ts'
import type { PagedList, Records } from './walk.ts'

/** What is asked for a page. */
export interface Asked {
  readonly url: URL
  readonly body: Json | undefined
}

/** What a walk remembers of the pages behind it, and what it may therefore conclude from the one it is at. */
export class Trail {
  readonly #request: PageRequest
  readonly #list: PagedList
  readonly #counts = new Map<string, number>()
  readonly #cursors = new Set<string>()
  readonly #samples = new Map<string, number>()
  #asked: Asked
  #page = 1
  #read = 0
  #previous: number | undefined
  #doubted = false

  constructor(request: PageRequest, list: PagedList, first: Asked) {
    this.#request = request
    this.#list = list
    this.#asked = first
  }

  /** The records of an answer, and what is to be asked next; nothing at the end. */
  step({ body, headers }: JsonAnswer): { readonly records: readonly unknown[]; readonly next: Asked | undefined } {
    const { pages } = this.#list
    const { url } = this.#asked
    const records = recordsOf(this.#list.records, body, this.#where(), this.#list.emptyShownBy)
    this.#read += records.length
    this.#notSeen(records)
    this.#stated(body)
    const facts: PageFacts = {
      ...{ body, headers, records, url, page: this.#page, read: this.#read, previous: this.#previous },
      total: this.#steady(body, pages.total),
      pageCount: this.#steady(body, pages.pageCount),
    }
    if (facts.total !== undefined && this.#read > facts.total) {
      throw malformed(this.#where(), `it makes ${this.#read} records, but ${pages.total} is ${facts.total}`)
    }
    const next = this.#beforeWall(facts) ? pages.next(facts) : 'end'
    if (next === 'empty' && !this.#doubted) {
      // Nothing but this page tells the end, and an empty one may be a slip: it is asked for once more.
      this.#doubted = true
      return { records, next: this.#asked }
    }
    this.#doubted = false
    this.#previous = records.length
    return { records, next: this.#follow(next, facts) }
  }

  #follow(next: Next, facts: PageFacts): Asked | undefined {
    if (next === 'end' || next === 'empty') {
      this.#ended(facts)
      return undefined
    }
    if ('broken' in next) throw malformed(this.#where(), next.broken)
    const cursor = 'url' in next ? next.url.href : next.cursor
    if (cursor !== undefined) {
      if (this.#cursors.has(String(cursor))) {
        throw new DataError('PAGE_CURSOR_REPEATED', {
          message: `${this.#where()}: the next page is one that was already read (of ${this.#cursors.size + 1})`,
          hint: 'Nothing of this chunk was published. Following it would never end; report it to the makers of the API.',
        })
      }
      this.#cursors.add(String(cursor))
    }
    const { maxPages = 100_000 } = this.#list
    if (this.#page >= maxPages) {
      throw new DataError('PAGES_ENDLESS', {
        message: `${safeUrl(this.#asked.url)}: ${this.#page} pages, and the API names another one`,
        hint: 'Nothing of this chunk was published. Use shorter windows or larger pages, or raise maxPages of the connector.',
      })
    }
    this.#page++
    this.#asked = 'url' in next ? { ...this.#asked, url: next.url } : set(next.alone ? alone(this.#asked) : this.#asked, next.set)
    return this.#asked
  }

  /** The API says that this is the last page; so it must be one. */
  #ended({ records, read, total }: PageFacts): void {
    const { pages, wall } = this.#list
    const walled = wall !== undefined && read >= wall.records
    if (total !== undefined && read < total && !walled) {
      throw malformed(this.#where(), `it is the last one, but makes ${read} of ${total} records`)
    }
    if (records.length === pages.full) {
      this.#request.warn(
        'PAGE_FULL_WITHOUT_NEXT',
        `${this.#where()} holds exactly ${records.length} records and names no next page`,
      )
    }
  }

  /** Whether the API goes on here. At its wall it would not, and nothing it says tells that from the end. */
  #beforeWall({ read, total }: PageFacts): boolean {
    const { wall } = this.#list
    if (wall === undefined || total === read || Math.max(read, total ?? 0) < wall.records) return true
    const where = `${this.#where()}: ${total ?? read} records${total === undefined ? '' : ' in all'}`
    if (wall.reached === 'warn') {
      if (read < wall.records) return true
      this.#request.warn('RESULT_CUT', `${where}, and the API shows no more than ${wall.records}`)
      return false
    }
    if (total === wall.records) return true
    throw tooLarge(`${where}, and the API shows no more than ${wall.records} of one request`)
  }

  /** Reads a count that every page repeats; another one than before means that rows moved under the reader. */
  #steady(body: unknown, path: string | undefined): number | undefined {
    if (path === undefined) return undefined
    const value = at(body, path)
    // Some APIs write large numbers as text, and leave out a zero.
    const none = value === undefined && this.#read === 0
    const count = none ? 0 : typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
    if (typeof count !== 'number') {
      throw malformed(this.#where(), `${path} is ${JSON.stringify(value)?.slice(0, 100)}, not a number`)
    }
    const before = this.#counts.get(path)
    if (before !== undefined && before !== count) {
      throw new TransientError('PAGE_TOTAL_CHANGED', {
        message: `${this.#where()}: ${path} went from ${before} to ${count} between two pages`,
        hint: 'Rows moved while they were read, so some may be missing or doubled. The chunk is read again.',
      })
    }
    this.#counts.set(path, count)
    return count
  }

  /** Passes on what a page states that all records add up to. Many APIs do so on the first or the last page alone. */
  #stated(body: unknown): void {
    const { totals } = this.#list
    const stated = totals === undefined ? undefined : totalsOf(body, totals, this.#where())
    if (stated !== undefined) this.#request.totals(stated)
  }

  /** No page comes twice, but for empty ones. */
  #notSeen(records: readonly unknown[]): void {
    if (records.length === 0) return
    const sample = sampleOf(records)
    const before = this.#samples.get(sample)
    if (before === undefined) {
      this.#samples.set(sample, this.#page)
      return
    }
    throw new DataError('PAGE_REPEATED', {
      message: `${safeUrl(this.#asked.url)}: page ${this.#page} is page ${before} again`,
      hint: 'Nothing of this chunk was published. The API ignores the paging parameter, or numbers its pages in another way.',
    })
  }

  #where(): string {
    return `${safeUrl(this.#asked.url)}, page ${this.#page}`
  }
}

/** Records that tell one page from the others, without keeping either. */
const SAMPLED = 16

function sampleOf(records: readonly unknown[]): string {
  const step = Math.max(1, Math.floor(records.length / SAMPLED))
  const sample = [records.length, records.at(-1), records.filter((_, index) => index % step === 0)]
  return hash('sha1', JSON.stringify(sample), 'base64')
}

/** Puts parameters where the request carries them. */
export function set({ url, body }: Asked, parameters: Parameters): Asked {
  if (body !== undefined) {
    return { url, body: Object.entries(parameters).reduce((json, [path, value]) => withAt(json, path, value), body) }
  }
  const next = new URL(url)
  for (const [name, value] of Object.entries(parameters)) next.searchParams.set(name, String(value))
  return { url: next, body }
}

/** The same without its parameters. */
function alone({ url, body }: Asked): Asked {
  const bare = new URL(url)
  bare.search = ''
  return { url: bare, body: body === undefined ? body : {} }
}

/** The records that something holds, or `PAGE_MALFORMED`. A field that shows it to be an answer may stand for none. */
export function recordsOf(records: Records, body: unknown, where: string, emptyShownBy?: string): readonly unknown[] {
  const found = typeof records === 'string' ? at(body, records) : taken(records, body, where)
  if (Array.isArray(found)) return found
  const none = found === undefined || found === null
  if (none && emptyShownBy !== undefined && at(body, emptyShownBy) !== undefined) return []
  const path = typeof records !== 'string' ? ' where the connector looks' : ` at ${records === '' ? 'the top' : records}`
  throw new DataError('PAGE_MALFORMED', {
    message: `${where}: no array of records${path} (the body is ${shapeOf(body)})`,
    hint: 'Nothing of this chunk was published. Either the answer is an error in disguise, or `records` of the connector is wrong.',
  })
}

/** The totals that an answer states, or nothing where it states none; `PAGE_MALFORMED` where something else stands in their place. */
export function totalsOf(body: unknown, path: string, where: string): object | undefined {
  const stated = at(body, path)
  if (stated === undefined || stated === null) return undefined
  if (typeof stated === 'object') return stated
  throw malformed(where, `${path} is ${shapeOf(stated)}, not an object of totals`)
}

function taken(records: (body: unknown) => unknown, body: unknown, where: string): unknown {
  try {
    return records(body)
  } catch (error) {
    throw malformed(where, `the connector cannot read the body (${error}; the body is ${shapeOf(body)})`)
  }
}

function malformed(where: string, what: string): DataError {
  return new DataError('PAGE_MALFORMED', {
    message: `${where}: ${what}`,
    hint: 'Nothing of this chunk was published. Compare the paging declared in the connector with what the API documents.',
  })
}
