import { DataError, HeadraceError, isDiskFull, TransientError } from '../../errors.ts'
import type { Refusal } from '../sift.ts'
import { GroupRefused } from '../warehouse.ts'

/** What DuckDB threw while it read or wrote, as an error of headrace; those of headrace stay as they are. */
export function failure(where: string, error: unknown, safe = 'What was committed stays.'): Error {
  if (error instanceof HeadraceError || error instanceof GroupRefused) return error
  if (isDiskFull(error)) {
    return new TransientError('DISK_FULL', {
      message: `no space left to write ${where}`,
      hint: `${safe} Free space and run again.`,
      cause: error,
    })
  }
  const message = firstLine(error)
  const memory = /^Out of Memory Error/.test(message) ? ' Raise memoryLimit of the warehouse, or use shorter windows.' : ''
  return new TransientError('WAREHOUSE_FAILED', { message: `${where}: ${message}`, hint: `${safe}${memory}`, cause: error })
}

/** The same for a commit, which is rolled back then; `STAGED_UNREADABLE` when DuckDB does not take what was staged. */
export function commitFailure(table: string, error: unknown): Error {
  const safe = 'Rolled back: the table is as it was.'
  const message = firstLine(error)
  if (!/^(Conversion|Invalid Input|Constraint|Out of Range) Error/.test(message)) return failure(table, error, safe)
  return new DataError('STAGED_UNREADABLE', {
    message: `${table}: ${message}`,
    hint: `${safe} Please report this.`,
    cause: error,
  })
}

/** What a message of DuckDB says of a value it cannot read, and of a constraint that a row breaks. */
const REFUSALS = [
  /^Conversion Error: CSV Error[\s\S]*\nError when converting column "(?<column>.+?)"\. (?<message>.+)/,
  /^Constraint Error: (?<message>NOT NULL constraint failed: [^.]+\.(?<column>.+))/,
  /^Constraint Error: (?<message>CHECK constraint failed .+)/,
]

/**
 * Why DuckDB does not take a row for what stands in it; nothing for any other error. A row that an index holds twice is no such row: two are at
 * fault then, or none. Neither is a line that is not what was written.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  const message = error instanceof Error ? error.message : ''
  const found = REFUSALS.map(pattern => pattern.exec(message)?.groups).find(groups => groups !== undefined)
  return found?.message === undefined ? undefined : { message: found.message, column: found.column ?? null }
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n')[0] ?? ''
}
