import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, TransientError } from '../../errors.ts'
import type { Staging } from '../warehouse.ts'
import { rejectLines } from './csv.ts'

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

  async stage(attemptId: string): Promise<Staging> {
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
      write: bytes => rows.append(bytes),
      reject: lines => rejects.append(Buffer.from(rejectLines(lines))),
      seal: async () => {
        await rejects.close()
        await rows.close()
        return rows.bytes
      },
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
    const dead = new Set(
      files.flatMap(file => /^(.+?)(?:\.rejects)?\.csv$/.exec(file)?.[1] ?? []).filter(attemptId => !alive.has(attemptId)),
    )
    for (const attemptId of dead) {
      await rm(this.rows(attemptId), { force: true })
      await rm(this.rejects(attemptId), { force: true })
    }
    return dead.size
  }
}

/** A file that is written from front to back; it exists only if something was asked of it. */
class StagedFile {
  readonly #path: string
  #handle: FileHandle | undefined
  #opened = false
  bytes = 0
  /** Bytes of the largest single write. */
  largest = 0

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<FileHandle> {
    this.#handle ??= await open(this.#path, 'wx')
    this.#opened = true
    return this.#handle
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      await (await this.open()).appendFile(bytes)
      this.bytes += bytes.length
      this.largest = Math.max(this.largest, bytes.length)
    } catch (error) {
      throw stagingFailed(this.#path, error)
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    try {
      await handle?.close()
    } catch (error) {
      // Some file systems say only now that there was no space.
      throw stagingFailed(this.#path, error)
    }
  }

  async isWhole(): Promise<boolean> {
    const found = await stat(this.#path).catch(() => undefined)
    return found?.size === (this.#opened ? this.bytes : undefined)
  }

  async remove(): Promise<void> {
    await this.close().catch(() => undefined)
    await rm(this.#path, { force: true })
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
