import type { EncodeRow } from '../../row.ts'
import type { Column, ColumnType, Table } from '../../table.ts'
import type { StagedReject } from '../warehouse.ts'

/** The columns in the order they are staged: the key first, so that a row's key is the beginning of its line. */
export function stagedColumns(table: Table): string[] {
  return [...table.key, ...Object.keys(table.columns).filter(column => !table.key.includes(column))]
}

/**
 * How `read_csv` must read what `compileCsv` writes. NULL is nothing at all, the empty text is `""`. Folders on the way to the file that are
 * called `name=value` are no columns.
 */
export const CSV_DIALECT =
  "header = false, auto_detect = false, delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, " +
  "new_line = '\\n', strict_mode = true, hive_partitioning = false"

/** Text always stands in quotes; that keeps it apart from NULL, and commas and line ends need no thought. */
function quoted(text: string): string {
  return text.includes('"') ? `"${text.replaceAll('"', '""')}"` : `"${text}"`
}

/** Compiles the row writer of a table. The generated code holds column names as JSON strings and nothing else of the table. */
export function compileCsv(table: Table): EncodeRow {
  const cells = stagedColumns(table).map(name => cell(name, table.columns[name] as Column))
  const split = table.key.length
  const key = split === 0 ? '""' : cells.slice(0, split).join(' + "," + ')
  const rest = cells.slice(split).join(' + "," + ')
  const comma = split > 0 && split < cells.length ? '"," + ' : ''
  const body = `"use strict"; return (row, pieces) => { pieces.push(${key}, ${comma}${rest === '' ? '' : `${rest} + `}"\\n") }`
  return new Function('quoted', body)(quoted)
}

function cell(name: string, { type, nullable }: Column): string {
  const value = `row[${JSON.stringify(name)}]`
  const text = QUOTED.has(type) ? `quoted(${value})` : value
  return nullable ? `(${value} === null ? "" : ${text})` : text
}

const QUOTED: ReadonlySet<ColumnType> = new Set(['STRING', 'JSON'])

/** The columns of staged rejects, in order, with their DuckDB types. */
export const REJECT_COLUMNS = {
  day: 'DATE',
  column_name: 'VARCHAR',
  rule: 'VARCHAR',
  value: 'VARCHAR',
  reason: 'VARCHAR',
  record: 'JSON',
} as const

/** Rejects as lines of `REJECT_COLUMNS`. */
export function rejectLines(rejects: readonly StagedReject[]): string {
  const text = (value: string | null): string => (value === null ? '' : quoted(value))
  return rejects
    .map(
      ({ day, column, rule, value, reason, record }) => `${day},${[column, rule, value, reason, record].map(text).join(',')}\n`,
    )
    .join('')
}
