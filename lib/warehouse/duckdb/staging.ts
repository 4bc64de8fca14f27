import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, TransientError } from '../../errors.ts'
import { copyLines, type LineFile, linesOf } from '../sift.ts'
import type { RefusedRow, Staging, WarehouseCall } from '../warehouse.ts'
import { rejectLines } from './csv.ts'

/** Finds the rows of a file that the database does not take, and takes them out of it. */
export type Sift = (file: StagedFile, call: WarehouseCall) => Promise<RefusedRow[]>

/** What follows the attempt id in the names of files: nothing for rows, then rejects, and what `sift` writes. */
const NAME = /^(.+?)(?:\.(?:rejects|sifted|part\d+))?\.csv$/

/** The files of staged attempts, one folder beside the database. An attempt id names its files, so that nothing else has to. */
export class StagingFolder {
  readonly path: string
  readonly #staged = new Map<string, readonly StagedFile[]>()

  constructor(path: string) {
    this.path = path
  }

  rows(attemptId: string): string {
    return join(this.path, `${attemptId}.csv`)
  }

  rejects(attemptId: string): string {
    return join(this.path, `${attemptId}.rejects.csv`)
  }

  async stage(attemptId: string, sift: Sift): Promise<Staging> {
    const rows = new StagedFile(this.rows(attemptId))
    const rejects = new StagedFile(this.rejects(attemptId))
    this.#staged.set(attemptId, [rows, rejects])
    try {
      await mkdir(this.path, { recursive: true })
      await rows.open()
    } catch (error) {
      throw stagingFailed(this.path, error)
    }
    return {
      write: (bytes, count) => rows.write(bytes, count),
      reject: lines => rejects.write(Buffer.from(rejectLines(lines)), lines.length),
      seal: async () => {
        await rejects.close()
        await rows.close()
        return rows.bytes
      },
      sift: call => sift(rows, call),
      discard: async () => {
        this.#staged.delete(attemptId)
        await rows.remove()
        await rejects.remove()
      },
    }
  }

  /** Bytes of the largest single write of an attempt; no row is longer. */
  largestWrite(attemptId: string): number {
    return Math.max(0, ...this.#files(attemptId).map(({ largest }) => largest))
  }

  /** Whether the files of an attempt hold what was written to them. */
  async isWhole(attemptId: string): Promise<boolean> {
    const whole = await Promise.all(this.#files(attemptId).map(file => file.isWhole()))
    return whole.length > 0 && whole.every(Boolean)
  }

  #files(attemptId: string): readonly StagedFile[] {
    return this.#staged.get(attemptId) ?? []
  }

  /** Removes the files of attempts that are not alive. */
  async sweep(alive: ReadonlySet<string>): Promise<number> {
    const files = await readdir(this.path).catch(() => [])
    const dead = new Set<string>()
    for (const file of files) {
      const attemptId = NAME.exec(file)?.[1]
      if (attemptId === undefined || alive.has(attemptId)) continue
      dead.add(attemptId)
      await rm(join(this.path, file), { force: true })
    }
    return dead.size
  }
}

/** A file that is written from front to back; it exists only if something was asked of it. */
export class StagedFile implements LineFile {
  readonly path: string
  #handle: FileHandle | undefined
  #opened = false
  lines = 0
  bytes = 0
  /** Bytes of the largest single write. */
  largest = 0

  constructor(path: string) {
    this.path = path
  }

  async open(): Promise<FileHandle> {
    this.#handle ??= await open(this.path, this.#opened ? 'a' : 'wx')
    this.#opened = true
    return this.#handle
  }

  async write(bytes: Uint8Array, lines: number): Promise<void> {
    try {
      await (await this.open()).appendFile(bytes)
      this.lines += lines
      this.bytes += bytes.length
      this.largest = Math.max(this.largest, bytes.length)
    } catch (error) {
      throw stagingFailed(this.path, error)
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    try {
      await handle?.close()
    } catch (error) {
      // Some file systems say only now that there was no space.
      throw stagingFailed(this.path, error)
    }
  }

  /** The lines, each with its end. */
  read(): AsyncGenerator<Buffer> {
    return linesOf(createReadStream(this.path), { quotes: true })
  }

  /** A file beside it for some of its lines, under another ending of the name. */
  beside(ending: string): StagedFile {
    return new StagedFile(this.path.replace(/\.csv$/, `.${ending}.csv`))
  }

  /** Takes the lines with some numbers out. */
  async drop(without: ReadonlySet<number>): Promise<void> {
    const sifted = this.beside('sifted')
    try {
      await sifted.open()
      await copyLines(this.read(), sifted, without)
      await sifted.close()
      await rename(sifted.path, this.path)
    } catch (error) {
      await sifted.remove()
      throw stagingFailed(this.path, error)
    }
    this.lines = sifted.lines
    this.bytes = sifted.bytes
  }

  async isWhole(): Promise<boolean> {
    const found = await stat(this.path).catch(() => undefined)
    return found?.size === (this.#opened ? this.bytes : undefined)
  }

  async remove(): Promise<void> {
    await this.close().catch(() => undefined)
    await rm(this.path, { force: true })
  }
}

function stagingFailed(path: string, error: unknown): TransientError {
  return isDiskFull(error)
    ? new TransientError('DISK_FULL', {
        message: `no space left to stage rows in ${path}`,
        hint: 'Nothing of this chunk was published, what was there stays. Free space and run again.',
        cause: error,
      })
    : new TransientError('WAREHOUSE_FAILED', {
        message: `rows cannot be staged in ${path}: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Nothing of this chunk was published. Check the permissions of the folder and run again.',
        cause: error,
      })
}
