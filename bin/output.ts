import { styleText } from 'node:util'
import { HeadraceError } from '../lib/index.ts'

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

/** A number with thousands separators. */
export function count(number: number): string {
  return number.toLocaleString('en')
}

/** Seconds as people say them. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Text that stands out on a terminal and is plain elsewhere. */
export function strong(text: string, stream: NodeJS.WriteStream = process.stderr): string {
  return styleText('bold', text, { stream })
}

/** An error for people: what happened, then what is safe and what to do. */
export function explain(error: unknown): string[] {
  if (error instanceof HeadraceError) {
    return [`${strong(error.code)}: ${error.message}`, ...(error.hint === undefined ? [] : [`  ${error.hint}`])]
  }
  return [error instanceof Error ? (error.stack ?? String(error)) : String(error)]
}
