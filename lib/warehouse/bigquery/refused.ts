import type { AnyRow } from '../../row.ts'
import type { Table } from '../../table.ts'
import type { Refusal } from '../sift.ts'
import type { RefusedRow } from '../warehouse.ts'

/** What stands before the part of a message that is about the row. */
const PREAMBLE = /^Error while reading data, error message: (?:JSON parsing error in row starting at position \d+: )?/

/** A refused row from its line, `{"column":value,...}`. */
export function refusedRow({ columns }: Table, line: Uint8Array, { message, column }: Refusal): RefusedRow {
  const fields: Readonly<Record<string, unknown>> = JSON.parse(new TextDecoder().decode(line))
  const named = column ?? /\bField: ([^;\s]+)/.exec(message)?.[1] ?? ''
  const row: AnyRow = {}
  for (const [name, { type }] of Object.entries(columns)) row[name] = held(fields[name], type === 'JSON')
  return {
    row,
    line,
    column: Object.hasOwn(columns, named) ? named : null,
    reason: `is refused by BigQuery: ${message.replace(PREAMBLE, '')}`,
  }
}

/** A column of type JSON holds text, which stands in the line as what it means. */
function held(value: unknown, isJson: boolean): AnyRow[string] {
  if (value === null || value === undefined) return null
  if (isJson || typeof value === 'object') return JSON.stringify(value)
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : String(value)
}
