import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, TransientError } from '../../errors.ts'
import { copyLines, type LineFile, linesOf } from '../sift.ts'
import type { Member, RefusedRow, Staging, WarehouseCall } from '../warehouse.ts'
import { rejectLines } from './csv.ts'

/** Finds the rows of a file that the database does not take, and takes them out of it. */
export type Sift = (file: StagedFile, call: WarehouseCall) => Promise<RefusedRow[]>

/** What follows the attempt id in the names of files: nothing for rows, then rejects, and what `sift` writes. */
const NAME = /^(.+?)(?:\.(?:rejects|sifted|part\d+))?\.csv$/

/** The files of staged attempts, one folder beside the database. An attempt id names its files, so that nothing else has to. */
export class StagingFolder {
  readonly path: string

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
        const receipt: Receipt = {
          rows: rows.size,
          rejects: rejects.size,
          longest: Math.max(rows.largest, rejects.largest),
        }
        return { bytes: rows.bytes, receipt: JSON.stringify(receipt) }
      },
      sift: call => sift(rows, call),
      discard: async () => {
        await rows.remove()
        await rejects.remove()
      },
    }
  }

  /** Removes the files of an attempt. */
  async discard(attemptId: string): Promise<void> {
    await rm(this.rows(attemptId), { force: true })
    await rm(this.rejects(attemptId), { force: true })
  }

  /** Whether the files of an attempt hold what was written to them. */
  async isWhole({ attemptId, receipt }: Member): Promise<boolean> {
    const { rows, rejects } = receiptOf(receipt)
    const [rowsNow, rejectsNow] = await Promise.all([sizeOf(this.rows(attemptId)), sizeOf(this.rejects(attemptId))])
    return rowsNow === rows && rejectsNow === rejects
  }

  /** Removes the files of attempts that are not alive. */
  async sweep(alive: () => Promise<ReadonlySet<string>>): Promise<number> {
    const files = await readdir(this.path).catch(() => [])
    const kept = await alive()
    const dead = new Set<string>()
    for (const file of files) {
      const attemptId = NAME.exec(file)?.[1]
      if (attemptId === undefined || kept.has(attemptId)) continue
      dead.add(attemptId)
      await rm(join(this.path, file), { force: true })
    }
    return dead.size
  }
}

/** What must be there of an attempt. */
interface Receipt {
  /** Bytes of each file; null where there is none. */
  readonly rows: number | null
  readonly rejects: number | null
  /** Bytes of the largest single write; no row is longer. */
  readonly longest: number
}

/** What a receipt says. */
export function receiptOf(receipt: string): Receipt {
  return JSON.parse(receipt)
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(() => undefined))?.size ?? null
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

  /** Its bytes; null when nothing was asked of it. */
  get size(): number | null {
    return this.#opened ? this.bytes : null
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
