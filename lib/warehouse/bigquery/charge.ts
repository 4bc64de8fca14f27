import type { Table } from '../../table.ts'
import type { Charge, Publishing } from '../warehouse.ts'
import type { Client } from './client.ts'
import { failure, ServiceError } from './failure.ts'
import { dryRun } from './jobs.ts'
import { namesOf, tablePath } from './names.ts'
import { texts } from './parameters.ts'
import { mustBeHere } from './prepare.ts'
import { countRows, deleteWhere } from './statements.ts'

const MIB = 2 ** 20

/** What a statement is charged with for each table it names, at least. */
const LEAST = 10 * MIB

/** Statements of a commit that count the rows of its days: before it, after it, for the report; and one more to confirm. */
const COUNTS = { first: 3, replacing: 4 } as const

/** Statements of a commit on the small tables beside: the fence is read and raised, rejects are counted and replaced. */
const BESIDE = 4

/**
 * What a commit would be charged at most: the sum of its statements on the table, by dry runs of the same conditions, and what the others cost at
 * least. The script as a whole cannot be asked: a dry run of it ends at its first IF.
 */
export async function chargeOf(
  client: Client,
  table: Table,
  totals: readonly string[],
  { chunks, replacing }: Publishing,
  signal: AbortSignal,
): Promise<Charge> {
  const target = tablePath(namesOf(await client.project(), table).target)
  const places = chunks.map(chunk => ({ chunk }))
  const parameters = [texts('clients', [...new Set(chunks.map(chunk => chunk.client))])]
  try {
    const counted = await dryRun(client, { sql: countRows(table, target, totals, places), parameters, signal })
    const deleted = replacing ? await dryRun(client, { sql: deleteWhere(table, target, places), parameters, signal }) : undefined
    const onTable = billed(counted) * COUNTS[replacing ? 'replacing' : 'first'] + (deleted === undefined ? 0 : billed(deleted))
    return { kind: 'bytes', bytes: onTable + LEAST * (chunks.length + BESIDE) }
  } catch (error) {
    if (error instanceof ServiceError && error.missing && /not found: (table|dataset)/i.test(error.message)) {
      await mustBeHere(client, table, signal)
      return { kind: 'unknown', why: 'the table is not there yet, so there is nothing to ask about' }
    }
    throw failure(table.name, error, 'Nothing was changed.')
  }
}

/** What is charged for bytes that are read. */
function billed(bytes: number): number {
  return Math.max(LEAST, Math.ceil(bytes / MIB) * MIB)
}
