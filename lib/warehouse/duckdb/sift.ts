import type { AnyRow, Value } from '../../row.ts'
import type { ColumnType, Table } from '../../table.ts'
import { findRefused, type PartFile, type RefusedLine } from '../sift.ts'
import type { RefusedRow } from '../warehouse.ts'
import { stagedColumns } from './csv.ts'
import type { Turn } from './database.ts'
import { commitFailure, refusalOf } from './failure.ts'
import { insertStaged } from './read-csv.ts'
import { DUCKDB_TYPES } from './schema.ts'
import type { StagedFile } from './staging.ts'

/**
 * Finds the rows of a staged file that DuckDB does not read or that the table does not take, and takes them out of the file. Each part is
 * inserted in a transaction of its own that is rolled back.
 */
export async function siftFile(turn: Turn, table: Table, file: StagedFile, signal: AbortSignal): Promise<RefusedRow[]> {
  const refused = await findRefused(
    {
      name: 'DuckDB',
      lines: file.lines,
      atOnce: 1,
      read: () => file.read(),
      open: async part => partFile(turn, table, file.beside(`part${part}`)),
    },
    signal,
  )
  if (refused.length > 0) await file.drop(new Set(refused.map(({ index }) => index)))
  return refused.map(found => refusedRow(table, found))
}

function partFile(turn: Turn, table: Table, file: StagedFile): PartFile {
  return {
    write: (bytes, lines) => file.write(bytes, lines),
    refusal: async () => {
      await file.close()
      await turn.run('BEGIN TRANSACTION')
      try {
        await turn.run(insertStaged(table, [file.path], file.largest, DUCKDB_TYPES))
        return undefined
      } catch (error) {
        const refusal = refusalOf(error)
        if (refusal === undefined) throw commitFailure(table.name, error)
        return refusal
      } finally {
        await turn.run('ROLLBACK').catch(() => 0)
      }
    },
    remove: () => file.remove(),
  }
}

/** A refused row from its line. */
function refusedRow(table: Table, { line, refusal: { message, column = null } }: RefusedLine): RefusedRow {
  const cells = cellsOf(line.toString('utf8'))
  const row: AnyRow = {}
  for (const [index, name] of stagedColumns(table).entries()) {
    const text = cells[index]
    row[name] = text === undefined ? null : held(text, table.columns[name]?.type ?? 'STRING')
  }
  return { row, line, column, reason: `is refused by DuckDB: ${message}` }
}

/** The values of a line; nothing for NULL, which stands there as nothing at all. */
function cellsOf(line: string): (string | undefined)[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,\n]*))/g)].map(([, quoted, bare]) =>
    quoted === undefined ? bare || undefined : quoted.replaceAll('""', '"'),
  )
}

/** The value as the row held it, or its text where it is none of its type. */
function held(text: string, type: ColumnType): Value {
  if (type === 'BOOL' && (text === 'true' || text === 'false')) return text === 'true'
  const number = Number(text)
  return (type === 'FLOAT64' && !Number.isNaN(number)) || (type === 'INT64' && Number.isSafeInteger(number)) ? number : text
}
