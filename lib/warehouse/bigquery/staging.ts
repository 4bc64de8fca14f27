import { DataError, TransientError } from '../../errors.ts'
import { type Table, type WarehouseField, warehouseSchema } from '../../table.ts'
import { STAGED_REJECT_FIELDS } from '../kept.ts'
import { copyLines, findRefused, type PartFile } from '../sift.ts'
import type { RefusedRow, Sealed, Staging } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure } from './failure.ts'
import { JobFailed } from './jobs.ts'
import { rejectLines } from './json.ts'
import { type TableId, tablePath, tableText } from './names.ts'
import { refusedRow } from './refused.ts'
import type { Declared } from './schema.ts'
import type { StagedSource } from './script.ts'
import { openSpool, removeSpooled, type SpoolFile, spooledLines, spooledNames } from './spool.ts'
import { dropStaged, loadFile, stagedTables } from './staged-tables.ts'

/** What is staged of an attempt, and the jobs it took. */
export interface StagedAttempt extends StagedSource {
  readonly jobs: number
}

/** Says what is staged, for whoever publishes it. */
export function sealed(bytes: number, staged: StagedAttempt): Sealed {
  return { bytes, receipt: JSON.stringify(staged) }
}

/** What a receipt stands for. */
export function stagedAs(receipt: string): StagedAttempt {
  return JSON.parse(receipt)
}

/** A way to stage rows. */
export interface StagingArea {
  /** Makes ready what every attempt at a table needs. */
  prepare(table: Table, create: boolean, signal: AbortSignal): Promise<void>
  /** The long-lived tables that rows of a table are staged in. */
  streams(table: Table): Promise<readonly Declared[]>
  stage(table: Table, attemptId: string): Promise<Staging>
  /** Removes what attempts left that are not alive; those that are alive are asked for once it is known what is there. */
  /** Removes what is staged, whichever process has staged it. */
  discard(staged: StagedAttempt): Promise<void>
  sweep(alive: () => Promise<ReadonlySet<string>>): Promise<number>
}

/** What staged tables and files are called: what they hold, the attempt, and how often the process has staged. */
const NAME = /^(?:rows|rejects)_([0-9a-zA-Z_]+)_(\d+)(?:_part\d*)?$/

/** Stages with load jobs: one per attempt, into a table of its own. */
export class LoadArea implements StagingArea {
  readonly #client: Client
  #serial = 0

  constructor(client: Client) {
    this.#client = client
  }

  /** Every attempt makes its own tables. */
  async prepare(): Promise<void> {}

  async streams(): Promise<readonly Declared[]> {
    return []
  }

  async stage(table: Table, attemptId: string): Promise<Staging> {
    // The same attempt may stage twice, and a job id stands for one content.
    const name = (kind: 'rows' | 'rejects'): string => `${kind}_${attemptId.replaceAll('-', '_')}_${++this.#serial}`
    const rows = new LoadedFile(this.#client, () => name('rows'), warehouseSchema(table))
    const rejects = new LoadedFile(this.#client, () => name('rejects'), STAGED_REJECT_FIELDS)
    return {
      write: (bytes, count) => rows.write(bytes, count),
      reject: refused => rejects.write(Buffer.from(rejectLines(refused)), refused.length),
      seal: async () => {
        // Not at once: rows that are refused become rejects.
        const loaded = await rows.load()
        const refused = await rejects.load()
        return sealed(rows.bytes, { rows: loaded.path, rejects: refused.path, jobs: loaded.jobs + refused.jobs })
      },
      sift: ({ signal }) => rows.sift(table, signal),
      discard: async () => void (await Promise.all([rows.remove(), rejects.remove()])),
    }
  }

  async discard({ rows, rejects }: StagedAttempt): Promise<void> {
    for (const path of [rows, rejects]) {
      const table = path?.replaceAll('`', '').split('.').at(-1)
      if (table !== undefined) await dropStaged(this.#client, table)
    }
  }

  async sweep(alive: () => Promise<ReadonlySet<string>>): Promise<number> {
    const { spool } = this.#client.settings
    const spooled = await spooledNames(spool)
    const staged = await Array.fromAsync(stagedTables(this.#client))
    const kept = new Set([...(await alive())].map(attemptId => attemptId.replaceAll('-', '_')))
    const dead = new Set<string>()
    const isDead = (name: string): boolean => {
      const attempt = NAME.exec(name)?.[1]
      if (attempt === undefined || kept.has(attempt)) return false
      dead.add(attempt)
      return true
    }
    for (const name of spooled.filter(isDead)) await removeSpooled(spool, name)
    for (const name of staged.filter(isDead)) await dropStaged(this.#client, name)
    return dead.size
  }
}

/** Lines that wait in a file until all of them are loaded into a table at once. */
class LoadedFile {
  readonly #client: Client
  readonly #nextName: () => string
  readonly #fields: readonly WarehouseField[]
  #name: string
  #file: SpoolFile | undefined
  #sent = false
  #refusal: JobFailed | undefined

  constructor(client: Client, nextName: () => string, fields: readonly WarehouseField[]) {
    this.#client = client
    this.#nextName = nextName
    this.#fields = fields
    this.#name = nextName()
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
    const id = await this.#table(this.#name)
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
      if (!isRefusal(error)) throw failure(tableText(id), error, 'Nothing of this chunk was published.')
      this.#refusal = error
      throw new DataError('STAGED_UNREADABLE', {
        message: `${tableText(id)}: BigQuery refuses what was staged: ${error.message}; ${mostTelling(error)}`,
        hint: 'Nothing of this chunk was published. Please report this.',
        cause: error,
      })
    }
  }

  /** Takes the lines out that a load was refused for; the others wait in a file of another name, because a job id stands for one content. */
  async sift(table: Table, signal: AbortSignal): Promise<RefusedRow[]> {
    const file = this.#file
    const refusal = this.#refusal
    if (file === undefined || refusal === undefined) return []
    const refused = await findRefused(
      {
        name: 'BigQuery',
        lines: file.lines,
        why: { message: mostTelling(refusal) },
        atOnce: 4,
        read: () => spooledLines(file.path),
        open: part => this.#openPart(part),
      },
      signal,
    )
    if (refused.length === 0) return []
    this.#name = this.#nextName()
    this.#file = undefined
    this.#sent = false
    this.#refusal = undefined
    const without = new Set(refused.map(({ index }) => index))
    try {
      await copyLines(spooledLines(file.path), this, without)
    } finally {
      await file.remove()
    }
    return refused.map(({ line, refusal: why }) => refusedRow(table, line, why))
  }

  /** A part of the lines, on its way into a table that is dropped again. */
  async #openPart(part: number): Promise<PartFile> {
    const id = await this.#table(`${this.#name}_part${part}`)
    const file = await openSpool(this.#client.settings.spool, id.table)
    return {
      write: (bytes, lines) => file.write(bytes, lines),
      refusal: async () => {
        try {
          await file.close()
          await loadFile(this.#client, id, this.#fields, file.path)
          return undefined
        } catch (error) {
          if (isRefusal(error)) return { message: mostTelling(error) }
          throw failure(tableText(id), error, 'Nothing of this chunk was published.')
        } finally {
          await dropStaged(this.#client, id.table)
        }
      },
      remove: () => file.remove(),
    }
  }

  async #table(table: string): Promise<TableId> {
    return { project: await this.#client.project(), dataset: this.#client.settings.stagingDataset, table }
  }

  async remove(): Promise<void> {
    await this.#file?.remove()
    if (this.#sent) await dropStaged(this.#client, this.#name)
  }
}

/** Whether a load has ended because of what is in its file. */
function isRefusal(error: unknown): error is JobFailed {
  return error instanceof JobFailed && error.reason === 'invalid'
}

/** Of what BigQuery says about a load, first that there are errors, that which comes last is about a row. */
function mostTelling({ details, message }: JobFailed): string {
  return details.at(-1) ?? message
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
