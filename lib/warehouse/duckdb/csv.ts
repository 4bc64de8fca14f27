import { LONGEST_UNIT, writeText } from '../../bytes.ts'
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

/** Compiles the row writer of a table. The generated code holds column names as JSON strings and nothing else of the table. */
export function compileCsv(table: Table): EncodeRow {
  const names = stagedColumns(table)
  const cells = names.map((name, index) => cell(table.columns[name] as Column, `c${index}`))
  const body = [
    '"use strict"; return (row, bytes) => {',
    ...names.map((name, index) => `const c${index} = row[${JSON.stringify(name)}]`),
    `const buffer = bytes.reserve(${4 * names.length} + LONGEST_UNIT * (${cells.map(({ length }) => length).join(' + ')}))`,
    'let at = bytes.length',
    ...cells.flatMap(({ write }, index) => [
      ...(index === table.key.length ? ['const key = at'] : []),
      ...(index === 0 ? [] : [byte(',')]),
      write,
    ]),
    ...(names.length === table.key.length ? ['const key = at'] : []),
    byte('\n'),
    'bytes.length = at; return key }',
  ].join('\n')
  return new Function('writeText', 'LONGEST_UNIT', body)(writeText, LONGEST_UNIT)
}

/** The code that writes one value, and that says how many characters it has at most. */
function cell({ type, nullable }: Column, value: string): { readonly write: string; readonly length: string } {
  const isText = TEXTS.has(type)
  const text = isText ? value : `\`\${${value}}\``
  const quoted = QUOTED.has(type)
  const write = `at = writeText(buffer, at, ${text}${quoted ? `, ${QUOTE}` : ''})`
  const whole = quoted ? `${byte('"')}; ${write}; ${byte('"')}` : write
  const length = isText ? `${value}.length` : String(LONGEST_NUMBER)
  return nullable
    ? { write: `if (${value} !== null) { ${whole} }`, length: `(${value} === null ? 0 : ${length})` }
    : { write: whole, length }
}

function byte(character: string): string {
  return `buffer[at++] = ${character.charCodeAt(0)}`
}

const QUOTE = '"'.charCodeAt(0)

/** Characters of a number or a boolean, at most. */
const LONGEST_NUMBER = 32

/** Types whose values are text in a row. */
const TEXTS: ReadonlySet<ColumnType> = new Set(['STRING', 'NUMERIC', 'DATE', 'TIMESTAMP', 'JSON'])

/** Text always stands in quotes; that keeps it apart from NULL, and commas and line ends need no thought. */
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
