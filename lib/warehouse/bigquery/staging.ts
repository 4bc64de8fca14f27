import { DataError, TransientError } from '../../errors.ts'
import { type Table, type WarehouseField, warehouseSchema } from '../../table.ts'
import { STAGED_REJECT_FIELDS } from '../kept.ts'
import type { Staging } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure } from './failure.ts'
import { JobFailed } from './jobs.ts'
import { rejectLines } from './json.ts'
import { type TableId, tablePath, tableText } from './names.ts'
import { describeRefused, refusedRows } from './refused.ts'
import type { Declared } from './schema.ts'
import type { StagedSource } from './script.ts'
import { openSpool, removeSpooled, type SpoolFile, spooledNames } from './spool.ts'
import { dropStaged, loadFile, stagedTables } from './staged-tables.ts'

/** What is staged of an attempt, and the jobs it took. */
export interface StagedAttempt extends StagedSource {
  readonly jobs: number
}

/** A way to stage rows. */
export interface StagingArea {
  /** Makes ready what every attempt at a table needs. */
  prepare(table: Table, create: boolean, signal: AbortSignal): Promise<void>
  /** The long-lived tables that rows of a table are staged in. */
  streams(table: Table): Promise<readonly Declared[]>
  stage(table: Table, attemptId: string): Promise<Staging>
  /** What is staged of an attempt; nothing when it is not, or not completely. */
  find(attemptId: string): StagedAttempt | undefined
  /** Removes what attempts left that are not alive. */
  sweep(alive: ReadonlySet<string>): Promise<number>
}

/** What staged tables and files are called: what they hold, the attempt, and how often the process has staged. */
const NAME = /^(?:rows|rejects)_([0-9a-zA-Z_]+)_(\d+)(?:_part\d*)?$/

/** Stages with load jobs: one per attempt, into a table of its own. */
export class LoadArea implements StagingArea {
  readonly #client: Client
  readonly #staged = new Map<string, StagedAttempt>()
  #serial = 0

  constructor(client: Client) {
    this.#client = client
  }

  /** Every attempt makes its own tables. */
  async prepare(): Promise<void> {}

  async streams(): Promise<readonly Declared[]> {
    return []
  }

  find(attemptId: string): StagedAttempt | undefined {
    return this.#staged.get(attemptId)
  }

  async stage(table: Table, attemptId: string): Promise<Staging> {
    // The same attempt may stage twice, and a job id stands for one content.
    const suffix = `${attemptId.replaceAll('-', '_')}_${++this.#serial}`
    const rows = new LoadedFile(this.#client, `rows_${suffix}`, warehouseSchema(table), table.key)
    const rejects = new LoadedFile(this.#client, `rejects_${suffix}`, STAGED_REJECT_FIELDS, [])
    return {
      write: (bytes, count) => rows.write(bytes, count),
      reject: refused => rejects.write(Buffer.from(rejectLines(refused)), refused.length),
      seal: async () => {
        const [loaded, refused] = await Promise.all([rows.load(), rejects.load()])
        this.#staged.set(attemptId, { rows: loaded.path, rejects: refused.path, jobs: loaded.jobs + refused.jobs })
        return rows.bytes
      },
      discard: async () => {
        this.#staged.delete(attemptId)
        await Promise.all([rows.remove(), rejects.remove()])
      },
    }
  }

  async sweep(alive: ReadonlySet<string>): Promise<number> {
    const { spool } = this.#client.settings
    const kept = new Set([...alive].map(attemptId => attemptId.replaceAll('-', '_')))
    const dead = new Set<string>()
    const isDead = (name: string): boolean => {
      const attempt = NAME.exec(name)?.[1]
      if (attempt === undefined || kept.has(attempt)) return false
      dead.add(attempt)
      return true
    }
    for (const name of (await spooledNames(spool)).filter(isDead)) await removeSpooled(spool, name)
    for await (const name of stagedTables(this.#client)) if (isDead(name)) await dropStaged(this.#client, name)
    return dead.size
  }
}

/** Lines that wait in a file until all of them are loaded into a table at once. */
class LoadedFile {
  readonly #client: Client
  readonly #name: string
  readonly #fields: readonly WarehouseField[]
  readonly #key: readonly string[]
  #file: SpoolFile | undefined
  #sent = false

  constructor(client: Client, name: string, fields: readonly WarehouseField[], key: readonly string[]) {
    this.#client = client
    this.#name = name
    this.#fields = fields
    this.#key = key
  }

  get bytes(): number {
    return this.#file?.bytes ?? 0
  }

  async write(bytes: Uint8Array, lines: number): Promise<void> {
    const { spool } = this.#client.settings
    try {
      this.#file ??= await openSpool(spool, this.#name)
      await this.#file.write(bytes, lines)
    } catch (error) {
      throw spoolFailed(spool, error)
    }
  }

  /** Loads the lines, if there are any; returns the table as a query names it. */
  async load(): Promise<{ readonly path: string | undefined; readonly jobs: number }> {
    const file = this.#file
    if (file === undefined) return { path: undefined, jobs: 0 }
    await file.close().catch((error: unknown) => Promise.reject(spoolFailed(file.path, error)))
    const id: TableId = {
      project: await this.#client.project(),
      dataset: this.#client.settings.stagingDataset,
      table: this.#name,
    }
    this.#sent = true
    try {
      const { job, jobs } = await loadFile(this.#client, id, this.#fields, file.path)
      const { outputRows, badRecords = '0' } = job.statistics?.load ?? {}
      if (outputRows !== String(file.lines) || badRecords !== '0') {
        throw new TransientError('WAREHOUSE_FAILED', {
          message: `${tableText(id)}: ${file.lines} rows sent, ${outputRows} loaded, ${badRecords} refused`,
          hint: 'Nothing of this chunk was published; it is read again.',
        })
      }
      await file.remove()
      return { path: tablePath(id), jobs }
    } catch (error) {
      if (!(error instanceof JobFailed && error.reason === 'invalid')) {
        throw failure(tableText(id), error, 'Nothing of this chunk was published.')
      }
      const refused = await refusedRows(
        this.#client,
        { ...id, table: `${id.table}_part` },
        this.#fields,
        file.path,
        file.lines,
        error.details[0] ?? error.message,
      )
      throw new DataError('STAGED_UNREADABLE', {
        message: `BigQuery refuses ${describeRefused(refused, file.lines, this.#key)}: ${error.message}`,
        hint: 'Nothing of this chunk was published. Reject such rows with a constraint of the table, or map them to something else.',
        cause: error,
      })
    }
  }

  async remove(): Promise<void> {
    await this.#file?.remove()
    if (this.#sent) await dropStaged(this.#client, this.#name)
  }
}

function spoolFailed(path: string, error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error)
  const known = failure(path, error, 'Nothing of this chunk was published, what was there stays.')
  return known instanceof TransientError
    ? known
    : new TransientError('WAREHOUSE_FAILED', {
        message: `rows cannot be staged in ${path}: ${text}`,
        hint: 'Nothing of this chunk was published. Check the permissions of the folder, or name another with spool, and run again.',
        cause: error,
      })
}
