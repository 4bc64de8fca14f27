import { dirname } from 'node:path'
import type { WarehouseField } from '../../table.ts'
import type { Client } from './client.ts'
import { JobFailed } from './jobs.ts'
import type { TableId } from './names.ts'
import { openSpool, spooledLines } from './spool.ts'
import { dropStaged, loadFile } from './staged-tables.ts'

/** A row that BigQuery does not take. */
export interface RefusedRow {
  /** Where it stands among the rows of the chunk; 0 is the first. */
  readonly index: number
  readonly row: string
  readonly reason: string
}

/** Refused rows that are looked for one by one; a chunk with more has one cause, and that shows by then. */
const MOST = 3

/**
 * Which rows a load was refused for. BigQuery names at most five errors and no rows, so halves are loaded into a table of their own, until single
 * rows are left.
 */
export async function refusedRows(
  client: Client,
  scratch: TableId,
  fields: readonly WarehouseField[],
  path: string,
  lines: number,
  whole: string,
): Promise<RefusedRow[]> {
  const refused: RefusedRow[] = []
  let part = 0
  /** Why BigQuery refuses the rows from one to before another; nothing when it takes them. */
  const refusal = async (from: number, to: number): Promise<string | undefined> => {
    const table = { ...scratch, table: `${scratch.table}${++part}` }
    const file = await openSpool(dirname(path), table.table)
    try {
      for await (const line of linesOf(path, from, to)) await file.write(Buffer.from(`${line}\n`), 1)
      await file.close()
      await loadFile(client, table, fields, file.path)
      return undefined
    } catch (error) {
      if (error instanceof JobFailed && error.reason === 'invalid') return error.details[0] ?? error.message
      throw error
    } finally {
      await file.remove()
      await dropStaged(client, table.table)
    }
  }
  for (let from = 0; from < lines && refused.length < MOST; ) {
    // The first row that is refused is the last of the shortest refused beginning.
    let good = from
    let bad = lines
    let reason = from === 0 ? whole : await refusal(from, lines)
    if (reason === undefined) break
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2)
      const why = await refusal(good, middle)
      if (why === undefined) good = middle
      else {
        bad = middle
        reason = why
      }
    }
    let row = ''
    for await (const line of linesOf(path, good, bad)) row = line
    refused.push({ index: good, row, reason })
    from = bad
  }
  return refused
}

/** Says which rows were refused, by their place and key, with the reason. */
export function describeRefused(refused: readonly RefusedRow[], lines: number, key: readonly string[]): string {
  const named = refused.map(({ index, row, reason }) => `row ${index + 1} of ${lines}${keyText(row, key)} (${reason})`)
  return named.length === 0 ? 'what was staged' : `${named.join('; ')}${refused.length === MOST ? ' and perhaps more' : ''}`
}

function keyText(row: string, key: readonly string[]): string {
  if (key.length === 0) return ''
  const fields: Readonly<Record<string, unknown>> = JSON.parse(row)
  return `, ${key.map(column => `${column} ${JSON.stringify(fields[column])}`).join(', ')}`
}

async function* linesOf(path: string, from: number, to: number): AsyncGenerator<string> {
  let index = 0
  for await (const line of spooledLines(path)) {
    if (index >= to) return
    if (index++ >= from) yield line
  }
}
