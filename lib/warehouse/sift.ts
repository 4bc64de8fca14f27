import { DataError } from '../errors.ts'

/** Rows of a chunk that are looked for at most: a chunk with more of them has one cause, and that shows by then. */
export const MOST_REFUSED = 10

/** Parts that what is refused is divided into. As many loads as by halves, in half as many rounds. */
const PARTS = 4

/** Bytes that are gathered for one write. */
const WRITE_BYTES = 256 * 1_024

const LINE_END = 10
const QUOTE = 34

/** A file that lines are written to. */
export interface LineFile {
  write(bytes: Uint8Array, lines: number): Promise<void>
}

/** Why a warehouse refuses some lines: what it says of one of them, or of the first. */
export interface Refusal {
  readonly message: string
  /** The column at fault, where it is named. */
  readonly column?: string | null
}

/** Some of the staged lines in a file of their own, to see whether the warehouse takes them. */
export interface PartFile extends LineFile {
  /** Tries them: why the warehouse refuses them, or nothing when it takes them. It keeps nothing. */
  refusal(): Promise<Refusal | undefined>
  remove(): Promise<void>
}

/** How the staged lines of one warehouse are read and tried. */
export interface Sieve {
  /** Who refuses, for messages. */
  readonly name: string
  readonly lines: number
  /** Why all of them together were refused, where that was by themselves and not with anything else. */
  readonly why?: Refusal
  /** Files that may be tried at the same time. */
  readonly atOnce: number
  /** The lines from the first, each with its end. */
  read(): AsyncIterable<Buffer>
  /** Opens a file for a part; the number is another one for every part. */
  open(part: number): Promise<PartFile>
}

/** A line that the warehouse refuses by itself. */
export interface RefusedLine {
  /** 0 is the first. */
  readonly index: number
  readonly line: Buffer
  readonly refusal: Refusal
}

/** Lines from one to before another. */
interface Range {
  readonly from: number
  readonly to: number
}

interface RefusedRange extends Range {
  readonly refusal: Refusal
}

/**
 * Finds the lines that a warehouse refuses, which at best says that something is wrong: what is refused is divided until single lines are
 * left, each refused on its own. None when no single line is at fault. Throws `STAGED_UNREADABLE` when there are more than `MOST_REFUSED`.
 */
export async function findRefused(sieve: Sieve, signal: AbortSignal): Promise<RefusedLine[]> {
  const { lines, why } = sieve
  const part = { next: 1 }
  const whole = { from: 0, to: lines }
  let refused = why === undefined ? await tried(sieve, [whole], part, signal) : [{ ...whole, refusal: why }]
  while (refused.some(isDivisible)) {
    const found = await tried(sieve, refused.filter(isDivisible).flatMap(divided), part, signal)
    refused = [...refused.filter(range => !isDivisible(range)), ...found].sort((a, b) => a.from - b.from)
    if (refused.length > MOST_REFUSED) throw tooMany(sieve.name, lines, refused)
  }
  const refusals = new Map(refused.map(({ from, refusal }) => [from, refusal]))
  const rows: RefusedLine[] = []
  let index = 0
  for await (const line of sieve.read()) {
    const refusal = refusals.get(index)
    if (refusal !== undefined) rows.push({ index, line: Buffer.from(line), refusal })
    index++
  }
  return rows
}

function isDivisible({ from, to }: Range): boolean {
  return to - from > 1
}

function divided({ from, to }: Range): Range[] {
  const cut = (part: number): number => from + Math.ceil(((to - from) * part) / PARTS)
  return Array.from({ length: PARTS }, (_, part) => ({ from: cut(part), to: cut(part + 1) })).filter(
    range => range.from < range.to,
  )
}

/** Those of some ranges, in order and apart from each other, that are refused. The lines are read once for all of them. */
async function tried(
  sieve: Sieve,
  ranges: readonly Range[],
  part: { next: number },
  signal: AbortSignal,
): Promise<RefusedRange[]> {
  const files: PartFile[] = []
  try {
    const lines = new Numbered(sieve.read())
    for (const range of ranges) {
      const file = await sieve.open(part.next++)
      files.push(file)
      await copyLines(lines.between(range), file)
    }
    await lines.close()
    const refused: RefusedRange[] = []
    for (let at = 0; at < files.length; at += sieve.atOnce) {
      signal.throwIfAborted()
      const refusals = await Promise.all(files.slice(at, at + sieve.atOnce).map(file => file.refusal()))
      for (const [index, refusal] of refusals.entries()) {
        const range = ranges[at + index]
        if (refusal !== undefined && range !== undefined) refused.push({ ...range, refusal })
      }
    }
    return refused
  } finally {
    for (const file of files) await file.remove()
  }
}

/** Lines that are read once, range after range. */
class Numbered {
  readonly #lines: AsyncIterator<Buffer>
  #index = 0

  constructor(lines: AsyncIterable<Buffer>) {
    this.#lines = lines[Symbol.asyncIterator]()
  }

  async *between({ from, to }: Range): AsyncGenerator<Buffer> {
    while (this.#index < to) {
      const { value, done } = await this.#lines.next()
      if (done) return
      if (this.#index++ >= from) yield value
    }
  }

  async close(): Promise<void> {
    await this.#lines.return?.()
  }
}

/** Copies lines but for those with some numbers, many of them per write. */
export async function copyLines(
  lines: AsyncIterable<Buffer>,
  file: LineFile,
  without: ReadonlySet<number> = new Set(),
): Promise<void> {
  let gathered: Buffer[] = []
  let bytes = 0
  let index = 0
  const write = async (): Promise<void> => {
    if (gathered.length > 0) await file.write(Buffer.concat(gathered), gathered.length)
    gathered = []
    bytes = 0
  }
  for await (const line of lines) {
    if (without.has(index++)) continue
    gathered.push(line)
    bytes += line.length
    if (bytes >= WRITE_BYTES) await write()
  }
  await write()
}

/** Splits bytes into lines, each with its end; in `quotes` a line end is one only outside of quotes, as in CSV. */
export async function* linesOf(source: AsyncIterable<Buffer>, { quotes }: { readonly quotes: boolean }): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    for (let end = block.indexOf(LINE_END); end >= 0; end = block.indexOf(LINE_END, end + 1)) {
      const line = block.subarray(start, end + 1)
      if (quotes && isOpen(line)) continue
      yield line
      start = end + 1
    }
    rest = block.subarray(start)
  }
  if (rest.length > 0) yield rest
}

/** Whether a quote is open at the end; one that is doubled closes and opens again. */
function isOpen(line: Buffer): boolean {
  let open = false
  for (let at = line.indexOf(QUOTE); at >= 0; at = line.indexOf(QUOTE, at + 1)) open = !open
  return open
}

function tooMany(name: string, lines: number, [first]: readonly RefusedRange[]): DataError {
  const place =
    first === undefined ? '' : `, the first of them among rows ${first.from + 1} to ${first.to}: ${first.refusal.message}`
  return new DataError('STAGED_UNREADABLE', {
    message: `${name} refuses more than ${MOST_REFUSED} of ${lines} rows${place}`,
    hint: 'Nothing of this chunk was published. So many have one cause: reject them with a constraint of the table, or map them to something else.',
  })
}
