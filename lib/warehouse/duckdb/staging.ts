import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDiskFull, TransientError } from '../../errors.ts'
import type { Staging } from '../warehouse.ts'
import { rejectLines } from './csv.ts'

/** The files of staged attempts, one folder beside the database. An attempt id names its files, so that nothing else has to. */
export class StagingFolder {
  readonly path: string
  readonly #largestWrite = new Map<string, number>()

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
    try {
      await mkdir(this.path, { recursive: true })
      const rows = new StagedFile(this.rows(attemptId))
      const rejects = new StagedFile(this.rejects(attemptId))
      await rows.open()
      const write = (file: StagedFile, bytes: Uint8Array): Promise<void> => {
        this.#largestWrite.set(attemptId, Math.max(bytes.length, this.largestWrite(attemptId)))
        return file.append(bytes)
      }
      return {
        write: bytes => write(rows, bytes),
        reject: lines => write(rejects, Buffer.from(rejectLines(lines))),
        seal: async () => {
          await rejects.close()
          await rows.close()
          return rows.bytes
        },
        discard: async () => {
          this.#largestWrite.delete(attemptId)
          await rows.remove()
          await rejects.remove()
        },
      }
    } catch (error) {
      throw stagingFailed(this.path, error)
    }
  }

  /** Bytes of the largest single write of an attempt; no row is longer. */
  largestWrite(attemptId: string): number {
    return this.#largestWrite.get(attemptId) ?? 0
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
  bytes = 0

  constructor(path: string) {
    this.#path = path
  }

  async open(): Promise<FileHandle> {
    this.#handle ??= await open(this.#path, 'wx')
    return this.#handle
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      await (await this.open()).appendFile(bytes)
      this.bytes += bytes.length
    } catch (error) {
      throw stagingFailed(this.#path, error)
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  async remove(): Promise<void> {
    await this.close()
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
