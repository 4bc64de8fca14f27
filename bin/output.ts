import { styleText } from 'node:util'
import { type HeadraceError, withoutCredentials } from '../lib/errors.ts'
import { count } from '../lib/quantity.ts'

export { bytes, count, duration, minute, plural } from '../lib/quantity.ts'

/** Where a command speaks: results on standard output, everything else on standard error. */
export interface Output {
  /** One line of the result. */
  line(text?: string): void
  /** The whole result for machines, as one line of JSON. */
  json(value: unknown): void
  /** One line beside the result. */
  note(text: string): void
}

export const output: Output = {
  line: (text = '') => void process.stdout.write(`${text}\n`),
  json: value => void process.stdout.write(`${JSON.stringify(value)}\n`),
  note: text => void process.stderr.write(`${text}\n`),
}

/** Rows of text as aligned columns; columns of numbers to the right. The first row is the heading. */
export function columns(rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map(row => row.map(cell => (typeof cell === 'number' ? count(cell) : cell)))
  const numeric = (rows[0] ?? []).map((_, column) => rows.slice(1).every(row => typeof row[column] === 'number'))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return cells.map(row =>
    row
      .map((cell, column) => (numeric[column] ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** Text that stands out on a terminal and is plain elsewhere. */
export function strong(text: string, stream: NodeJS.WriteStream = process.stderr): string {
  return styleText('bold', text, { stream })
}

/** An error for people: what happened, then what is safe and what to do, and what to report if headrace did not foresee it. */
export function explain({ code, message, hint, cause }: HeadraceError): string[] {
  return [
    `${strong(code)}: ${message}`,
    ...(hint === undefined ? [] : [`  ${hint}`]),
    ...(code === 'INTERNAL' && cause instanceof Error ? [withoutCredentials(cause.stack ?? '')] : []),
  ]
}
