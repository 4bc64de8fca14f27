import { isAscii } from 'node:buffer'
import { Bytes } from '../bytes.ts'
import { DataError, TransientError } from '../errors.ts'

/** A document that arrives in blocks: where it comes from, for messages, and how much of it may be held at once. */
export interface Arriving {
  readonly blocks: AsyncIterable<Buffer>
  /** The address without its query. */
  readonly where: string
  /** Bytes of one element, at most. */
  readonly largest: number
}

/** Bytes that are parsed in one go, unless one element is larger: some thousand records make a page. */
const PAGE_BYTES = 2 ** 20

/** Elements of a page, at most. */
const PAGE_ELEMENTS = 5_000

/** Keys on the way to the array are shorter than this. */
const LONGEST_KEY = 1_000

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The elements of a JSON array too large for memory, in pages of a bounded size. The array is the whole document (''), or stands at a dotted path
 * of keys. What separates its elements is found byte by byte; `JSON.parse` does the rest, a page at a time. Ends only when the array and
 * the document around it are closed: throws `API_BODY_BROKEN` for one that is cut short or is not JSON, `PAGE_MALFORMED` where no such array
 * is, and `BODY_TOO_LARGE` for an element that is too large.
 */
export async function* arrayElements(arriving: Arriving, path: string): AsyncGenerator<readonly unknown[]> {
  const scanner = new ArrayScanner(arriving, path)
  try {
    for await (const block of arriving.blocks) yield* scanner.scan(block)
    scanner.end()
  } finally {
    scanner.release()
  }
}

/**
 * The values of JSON lines, in pages of a bounded size; blank lines are none. Throws `API_BODY_BROKEN` for a line that is not JSON, as the last
 * one is when the stream is cut within it. A stream that is cut between two lines looks like a whole one: whoever reads it has to know
 * its end from elsewhere.
 */
export async function* lineValues(arriving: Arriving): AsyncGenerator<readonly unknown[]> {
  const { blocks, where } = arriving
  const held = new Bytes()
  let lines = 0
  const take = (): unknown[] => {
    const texts = decode(held.slice(), where).split('\n')
    held.release()
    const values = texts.flatMap((text, index) =>
      text.trim() === '' ? [] : [parse(text, `${where}: line ${lines + index + 1}`)],
    )
    lines += texts.length - 1
    return values
  }
  try {
    for await (const block of blocks) {
      const rest = block.lastIndexOf('\n') + 1
      hold(held, block.subarray(0, rest), arriving)
      if (rest > 0 && held.length >= PAGE_BYTES) yield take()
      hold(held, block.subarray(rest), arriving)
    }
    const last = take()
    if (last.length > 0) yield last
  } finally {
    held.release()
  }
}

function hold(held: Bytes, bytes: Buffer, { where, largest }: Arriving): void {
  held.append(bytes)
  if (held.length <= largest) return
  throw new DataError('BODY_TOO_LARGE', {
    message: `${where}: one element of the stream is larger than ${Math.round(largest / 2 ** 20)} MiB`,
    hint: 'Nothing of this chunk was published. Use shorter windows, or raise bodyMebibytes if there is memory for it.',
  })
}

function decode(bytes: Buffer, where: string): string {
  try {
    return isAscii(bytes) ? bytes.toString('latin1') : UTF8.decode(bytes)
  } catch {
    throw broken(`${where}: the stream is not UTF-8`)
  }
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The error of the parser quotes the text, which is nobody's business.
    throw broken(`${what} is not JSON`)
  }
}

function broken(message: string): TransientError {
  return new TransientError('API_BODY_BROKEN', {
    message,
    hint: 'Nothing of this chunk was published. If it stays, the API sends something else than the connector expects.',
  })
}

/** What the scanner is at: on the way to the array, within it, or behind it. */
type Phase = 'before' | 'within' | 'behind'

/** Follows the structure of a document, and cuts its one array of interest between elements. */
class ArrayScanner {
  readonly #arriving: Arriving
  /** The keys that lead to the array. */
  readonly #keys: readonly string[]
  readonly #held = new Bytes()
  #phase: Phase = 'before'
  /** Objects and arrays that are open; within the array only those of its elements. */
  #depth = 0
  #inString = false
  #escaped = false
  /** Bytes of the string that was read last outside the array: it may be a key. */
  #string: number[] = []
  /** The key that each open object is at; an array has none. */
  #path: (string | undefined)[] = []
  /** Commas of the array since the last cut, and cuts so far. */
  #commas = 0
  #cuts = 0

  constructor(arriving: Arriving, path: string) {
    this.#arriving = arriving
    this.#keys = path === '' ? [] : path.split('.')
  }

  *scan(block: Buffer): Generator<readonly unknown[]> {
    let at = 0
    while (at < block.length) {
      if (this.#phase !== 'within') {
        at = this.#outside(block, at)
        continue
      }
      const start = at
      at = this.#nextCut(block, start)
      if (at === block.length) hold(this.#held, block.subarray(start), this.#arriving)
      else if (block[at] === COMMA) yield this.#cut(block.subarray(start, at++), this.#commas)
      else yield* this.#close(block.subarray(start, at++))
    }
  }

  /** Where the array can be cut: at a comma when enough has come, or at its end; the length of the block where neither is in it. */
  #nextCut(block: Buffer, start: number): number {
    // Most of the time is spent here: local variables are several times faster than fields.
    let inString = this.#inString
    let escaped = this.#escaped
    let depth = this.#depth
    let commas = this.#commas
    const enough = start + PAGE_BYTES - this.#held.length
    let at = start
    for (; at < block.length; at++) {
      const byte = block[at]
      if (inString) {
        if (escaped) escaped = false
        else if (byte === BACKSLASH) escaped = true
        else if (byte === QUOTE) inString = false
      } else if (byte === QUOTE) inString = true
      else if (byte === COMMA) {
        if (depth === 0 && (++commas >= PAGE_ELEMENTS || at >= enough)) break
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++
      else if ((byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) && depth-- === 0) {
        if (byte === CLOSE_OBJECT) throw this.#notJson()
        break
      }
    }
    this.#inString = inString
    this.#escaped = escaped
    this.#depth = depth
    this.#commas = commas
    return at
  }

  /** The document is over; so must be everything in it. */
  end(): void {
    const { where } = this.#arriving
    if (this.#phase === 'behind' && this.#depth === 0) return
    if (this.#phase === 'before' && this.#depth === 0 && this.#path.length > 0) {
      throw new DataError('PAGE_MALFORMED', {
        message: `${where}: no array at ${this.#keys.join('.') || 'the top'}`,
        hint: 'Nothing of this chunk was published. Either the answer is an error in disguise, or the connector looks in the wrong place.',
      })
    }
    throw broken(`${where}: the stream ends before the JSON in it does`)
  }

  release(): void {
    this.#held.release()
  }

  /** Follows the structure on the way to the array, or behind it; gives where the array begins, or the length of the block. */
  #outside(block: Buffer, start: number): number {
    for (let at = start; at < block.length; at++) {
      const byte = block[at] ?? 0
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (byte === BACKSLASH) this.#escaped = true
        else if (byte === QUOTE) this.#inString = false
        if (this.#inString && this.#string.length < LONGEST_KEY) this.#string.push(byte)
      } else if (byte === QUOTE) {
        this.#inString = true
        this.#string = []
      } else if (byte === COLON) this.#path[this.#depth - 1] = Buffer.from(this.#string).toString()
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        if (this.#phase === 'behind' && this.#depth === 0) throw this.#notJson()
        if (byte === OPEN_ARRAY && this.#phase === 'before' && this.#atKeys()) {
          this.#phase = 'within'
          this.#depth = 0
          return at + 1
        }
        this.#path[this.#depth++] = undefined
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        if (this.#depth-- === 0) throw this.#notJson()
      } else if (this.#depth === 0 && byte > 0x20) throw this.#notJson()
    }
    return block.length
  }

  #atKeys(): boolean {
    return this.#depth === this.#keys.length && this.#keys.every((key, index) => this.#path[index] === key)
  }

  /** The array is closed: its last elements, if any are left. */
  *#close(rest: Buffer): Generator<readonly unknown[]> {
    const nothing = this.#commas === 0 && this.#cuts === 0 && blank(this.#held.slice()) && blank(rest)
    if (!nothing) yield this.#cut(rest, this.#commas + 1)
    this.#phase = 'behind'
    this.#depth = this.#keys.length
  }

  /** The elements up to here, as many as there were commas between them. */
  #cut(rest: Buffer, count: number): readonly unknown[] {
    hold(this.#held, rest, this.#arriving)
    const { where } = this.#arriving
    const values = parse(`[${decode(this.#held.slice(), where)}]`, `${where}: the array after ${this.#cuts} pages of it`)
    this.#held.release()
    if (!Array.isArray(values) || values.length !== count) throw this.#notJson()
    this.#commas = 0
    this.#cuts++
    return values
  }

  #notJson(): TransientError {
    return broken(`${this.#arriving.where}: the stream is not JSON`)
  }
}

function blank(bytes: Buffer): boolean {
  return bytes.every(byte => byte <= 0x20)
}
