import type { EncodeRow } from '../../row.ts'
import type { Column, ColumnType, Table } from '../../table.ts'
import type { StagedReject } from '../warehouse.ts'

/**
 * Compiles the row writer of a table: one JSON object per line, the key first, so that a row's key is the beginning of its line. The generated
 * code holds column names as JSON strings and nothing else of the table.
 */
export function compileJson(table: Table): EncodeRow {
  const { key } = table
  const rest = Object.keys(table.columns).filter(column => !key.includes(column))
  const fields = (names: readonly string[], before: string): string =>
    names
      .map((name, index) => {
        const label = JSON.stringify(`${index === 0 ? before : ','}${JSON.stringify(name)}:`)
        return `${label} + ${cell(name, table.columns[name] as Column)}`
      })
      .join(' + ')
  const first = key.length === 0 ? '""' : fields(key, '{')
  const second = rest.length === 0 ? '"}\\n"' : `${fields(rest, key.length === 0 ? '{' : ',')} + "}\\n"`
  const body = `"use strict"; return (row, bytes) => { bytes.write(${first}); const key = bytes.length; bytes.write(${second}); return key }`
  return new Function('quoted', 'json', body)(JSON.stringify, oneLine)
}

function cell(name: string, { type, nullable }: Column): string {
  const value = `row[${JSON.stringify(name)}]`
  const text = WRITTEN[type](value)
  return nullable ? `(${value} === null ? "null" : ${text})` : text
}

/** How a value is written. Decimals and long whole numbers are text, because a JSON number may be read as a double. */
const WRITTEN: Readonly<Record<ColumnType, (value: string) => string>> = {
  STRING: value => `quoted(${value})`,
  INT64: value => `(typeof ${value} === "string" ? '"' + ${value} + '"' : ${value})`,
  NUMERIC: value => `'"' + ${value} + '"'`,
  FLOAT64: value => `${value}`,
  BOOL: value => `${value}`,
  DATE: value => `'"' + ${value} + '"'`,
  TIMESTAMP: value => `'"' + ${value} + '"'`,
  JSON: value => `json(${value})`,
}

/** JSON text without line ends, which stand only between its parts. */
function oneLine(text: string): string {
  return /[\n\r]/.test(text) ? text.replace(/[\n\r]+/g, ' ') : text
}

/** Rejects as lines. */
export function rejectLines(rejects: readonly StagedReject[]): string {
  return rejects
    .map(({ day, column, rule, value, reason, record }) => {
      const fields = { day, column_name: column, rule, value, reason }
      return `${JSON.stringify(fields).slice(0, -1)},"record":${oneLine(record)}}\n`
    })
    .join('')
}
