/** Buffers that wait to be used again, by size; a size is a power of two. */
const spares = new Map<number, Buffer[]>()
let spareBytes = 0

/** Bytes that wait, at most: a burst must not be kept for ever. */
const MOST_SPARE = 16 * 2 ** 20

const SMALLEST = 4_096

/** Characters up to which text is written byte by byte. */
const SHORT = 64

const LAST_ASCII = 127

/** The code of no character. */
const NOTHING = -1

function take(length: number): Buffer {
  const size = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(length)))
  const spare = spares.get(size)?.pop()
  if (spare === undefined) return Buffer.allocUnsafeSlow(size)
  spareBytes -= size
  return spare
}

function give(buffer: Buffer): void {
  const size = buffer.length
  if (size === 0 || spareBytes + size > MOST_SPARE) return
  const waiting = spares.get(size)
  if (waiting === undefined) spares.set(size, [buffer])
  else waiting.push(buffer)
  spareBytes += size
}

/** Bytes that a UTF-16 code unit takes as UTF-8, at most. */
export const LONGEST_UNIT = 3

/**
 * Writes text into a buffer with room for it, as UTF-8, and returns where it ends. A character of ASCII may be named, by its code, that is written
 * twice wherever it occurs. Byte by byte while that is quicker than a call into Node: most texts are short.
 */
export function writeText(buffer: Buffer, start: number, text: string, doubled = NOTHING): number {
  let at = start
  let index = 0
  for (const short = text.length <= SHORT ? text.length : 0; index < short; index++) {
    const unit = text.charCodeAt(index)
    if (unit > LAST_ASCII) break
    if (unit === doubled) buffer[at++] = unit
    buffer[at++] = unit
  }
  return index === text.length ? at : at + writeRest(buffer, at, text.slice(index), doubled)
}

function writeRest(buffer: Buffer, at: number, text: string, doubled: number): number {
  const twice = doubled === NOTHING ? '' : String.fromCharCode(doubled)
  const whole = twice !== '' && text.includes(twice) ? text.replaceAll(twice, twice + twice) : text
  return buffer.write(whole, at, 'utf8')
}

/**
 * Bytes that are put together piece by piece, in buffers that are used again: for whatever lives longer than a moment and comes again and again.
 * Memory of its own for each would be collected long after it was needed, so that the peak followed the amount of data.
 */
export class Bytes {
  #buffer: Buffer = Buffer.alloc(0)
  /** How many there are. */
  length = 0

  /** Some of the bytes; to be used before more are added or these are released. */
  slice(start = 0, end = this.length): Buffer {
    return this.#buffer.subarray(start, end)
  }

  /** Adds bytes at the end. */
  append(bytes: Uint8Array): void {
    this.reserve(bytes.length).set(bytes, this.length)
    this.length += bytes.length
  }

  /** Adds text at the end, as UTF-8. */
  write(text: string): void {
    const buffer = this.reserve(LONGEST_UNIT * text.length)
    this.length = writeText(buffer, this.length, text)
  }

  /** Makes room for some more bytes; returns the buffer, to be written from `length` on, which then has to be set. */
  reserve(more: number): Buffer {
    if (this.#buffer.length - this.length < more) this.#enlarge(more)
    return this.#buffer
  }

  #enlarge(more: number): void {
    const larger = take(this.length + more)
    this.#buffer.copy(larger, 0, 0, this.length)
    give(this.#buffer)
    this.#buffer = larger
  }

  /** Nobody looks at the bytes any more. */
  release(): void {
    give(this.#buffer)
    this.#buffer = Buffer.alloc(0)
    this.length = 0
  }
}
