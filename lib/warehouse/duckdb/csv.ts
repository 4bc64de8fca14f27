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

/**
 * Compiles the row writer of a table. The generated code holds column names as JSON strings and nothing else of the table. What stands between
 * two values is written at once.
 */
export function compileCsv(table: Table): EncodeRow {
  const statements: string[] = []
  let pending = ''
  const flush = (): void => {
    if (pending !== '') statements.push(`bytes.write(${JSON.stringify(pending)})`)
    pending = ''
  }
  const keyEnds = (): void => {
    flush()
    statements.push('const key = bytes.length')
  }
  const names = stagedColumns(table)
  for (const [index, name] of names.entries()) {
    if (index === table.key.length) keyEnds()
    const { type, nullable } = table.columns[name] as Column
    const value = `row[${JSON.stringify(name)}]`
    if (index > 0) pending += ','
    if (nullable) {
      flush()
      const text = QUOTED.has(type)
        ? `{ bytes.write('"'); bytes.write(${value}, QUOTE); bytes.write('"') }`
        : `bytes.write(\`\${${value}}\`)`
      statements.push(`if (${value} !== null) ${text}`)
    } else if (QUOTED.has(type)) {
      pending += '"'
      flush()
      statements.push(`bytes.write(${value}, QUOTE)`)
      pending = '"'
    } else {
      flush()
      statements.push(`bytes.write(\`\${${value}}\`)`)
    }
  }
  if (names.length === table.key.length) keyEnds()
  pending += '\n'
  flush()
  const body = `"use strict"; return (row, bytes) => { ${statements.join('; ')}; return key }`
  return new Function('QUOTE', body)('"'.charCodeAt(0))
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
  const text = (value: string | null): string => (value === null ? '' : `"${value.replaceAll('"', '""')}"`)
  return rejects
    .map(
      ({ day, column, rule, value, reason, record }) => `${day},${[column, rule, value, reason, record].map(text).join(',')}\n`,
    )
    .join('')
}
