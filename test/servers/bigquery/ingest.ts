import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import type { Session } from './duck.ts'
import { duckType, type Field, literal, quote, type Scalar } from './types.ts'

/** A file of newline-delimited JSON, and what reading it found. */
export interface Scan {
  rows: number
  /** Bytes of the text, uncompressed. */
  bytes: number
  longest: number
  readonly gzip: boolean
}

/** Whether the file begins as gzip does. */
export async function isGzip(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b
  } finally {
    await file.close()
  }
}

/** Reads a file line by line; `each` is told where in the uncompressed text a line begins, and says whether to go on. */
export async function scan(path: string, each: (line: string, position: number) => boolean): Promise<Scan> {
  const gzip = await isGzip(path)
  const found: Scan = { rows: 0, bytes: 0, longest: 0, gzip }
  const source = createReadStream(path, { highWaterMark: 1 << 18 })
  const text = gzip ? source.pipe(createGunzip()) : source
  source.on('error', error => text.destroy(error))
  let rest: Buffer = Buffer.alloc(0)
  let start = 0
  const line = (bytes: Buffer): boolean => {
    const position = start
    start += bytes.length + 1
    if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 13)) return true
    found.rows++
    found.longest = Math.max(found.longest, bytes.length)
    return each(bytes.toString('utf8'), position)
  }
  try {
    for await (const chunk of text as AsyncIterable<Buffer>) {
      found.bytes += chunk.length
      const block = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let from = 0
      for (let end = block.indexOf(10, from); end >= 0; end = block.indexOf(10, from)) {
        if (!line(block.subarray(from, end))) return found
        from = end + 1
      }
      rest = block.subarray(from)
    }
    if (rest.length > 0) line(rest)
    return found
  } finally {
    source.destroy()
    text.destroy()
  }
}

/**
 * Inserts the rows of a checked file. Numbers and times go from their text straight into their type; nothing that was checked can change on
 * the way.
 */
export async function insertFile(
  session: Session,
  table: string,
  fields: readonly Field[],
  path: string,
  { longest, gzip }: Scan,
): Promise<number> {
  const columns = fields.map(({ name, type }) => `${literal(name)}: ${type === 'JSON' ? "'JSON'" : "'VARCHAR'"}`)
  const values = fields.map(({ name, type }) => typedValue(quote(name), type))
  const names = fields.map(({ name }) => quote(name)).join(', ')
  return await session.run(
    `INSERT INTO ${table} (${names}) SELECT ${values.join(', ')} FROM read_json(${literal(path)}, columns = {${columns.join(', ')}}, ` +
      `format = 'newline_delimited', compression = '${gzip ? 'gzip' : 'uncompressed'}', maximum_object_size = ${Math.max(1 << 16, 2 * longest)}, ` +
      'ignore_errors = false)',
  )
}

function typedValue(text: string, type: Scalar): string {
  if (type === 'BYTES') return `from_base64(${text})`
  const whole = `CAST(${text} AS ${duckType(type)})`
  // DuckDB reads the wide decimal ten times slower than the narrow one, and few numbers need it.
  return type === 'NUMERIC' ? `coalesce(CAST(TRY_CAST(${text} AS DECIMAL(18,9)) AS ${duckType(type)}), ${whole})` : whole
}
