import { createReadStream, type WriteStream } from 'node:fs'
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { linesOf } from '../sift.ts'

/** A file of lines, compressed as it is written. */
export class SpoolFile {
  readonly path: string
  readonly #gzip = createGzip({ level: constants.Z_BEST_SPEED })
  readonly #file: WriteStream
  readonly #written: Promise<void>
  /** Lines, and their bytes before compression. */
  lines = 0
  bytes = 0

  constructor(path: string, file: WriteStream) {
    this.path = path
    this.#file = file
    this.#file.on('error', error => this.#gzip.destroy(error))
    this.#gzip.pipe(this.#file)
    this.#written = finished(this.#file)
    // Whoever writes next, or closes, is told.
    this.#written.catch(() => undefined)
    this.#gzip.on('error', () => undefined)
  }

  /** Resolves when the bytes were read, and may be changed again. */
  async write(bytes: Uint8Array, lines: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#gzip.write(bytes, error => (error ? reject(error) : resolve()))
    await promise
    this.lines += lines
    this.bytes += bytes.byteLength
  }

  async close(): Promise<void> {
    this.#gzip.end()
    await this.#written
  }

  /** Gives the space back, whatever was written. */
  async remove(): Promise<void> {
    this.#gzip.destroy()
    this.#file.destroy()
    await this.#written.catch(() => undefined)
    await rm(this.path, { force: true })
  }
}

/** Opens a new spool file in a folder, which is created when it is not there. */
export async function openSpool(folder: string, name: string): Promise<SpoolFile> {
  await mkdir(folder, { recursive: true })
  const path = join(folder, `${name}${SUFFIX}`)
  return new SpoolFile(path, (await open(path, 'wx')).createWriteStream())
}

const SUFFIX = '.ndjson.gz'

/** The lines of a spool file, each with its end. */
export async function* spooledLines(path: string): AsyncGenerator<Buffer> {
  const source = createReadStream(path)
  const text = source.pipe(createGunzip())
  source.on('error', error => text.destroy(error))
  try {
    yield* linesOf(text, { quotes: false })
  } finally {
    source.destroy()
    text.destroy()
  }
}

/** The names of the files in a spool folder, without their suffix. */
export async function spooledNames(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch(() => [])
  return files.filter(file => file.endsWith(SUFFIX)).map(file => file.slice(0, -SUFFIX.length))
}

/** Removes a file of a spool folder. */
export async function removeSpooled(folder: string, name: string): Promise<void> {
  await rm(join(folder, `${name}${SUFFIX}`), { force: true })
}

/** Size of a file, and a reader of parts of it. */
export async function readableParts(path: string): Promise<{
  readonly size: number
  readonly read: (from: number, length: number) => Promise<Buffer>
  readonly close: () => Promise<void>
}> {
  const { size } = await stat(path)
  const file = await open(path, 'r')
  return {
    size,
    read: async (from, length) => {
      const buffer = Buffer.allocUnsafeSlow(Math.min(length, size - from))
      const { bytesRead } = await file.read(buffer, 0, buffer.length, from)
      return buffer.subarray(0, bytesRead)
    },
    close: () => file.close(),
  }
}
