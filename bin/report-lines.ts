import { type Fix, fixesText, MOST_FIXES, sizeText } from '../lib/report/fix.ts'
import { introductionOf, type Part, partsOf } from '../lib/report/parts.ts'
import type { Report } from '../lib/report/report.ts'
import type { PartTable } from '../lib/report/tables.ts'
import { columns, count, minute, plural } from './output.ts'

/** How wide a line may be, and a column that is not the last. */
const WIDTH = 120
const COLUMN = 24

/** The least that the last column of a table gets. */
const LEAST = 20

/** A report as lines for a terminal or a mail, none wider than 120 characters unless one word is. */
export function* reportLines(report: Report): Generator<string> {
  const { verdict, fixes, within } = report
  yield* wrapped(verdict.sentence)
  for (const text of introductionOf(report)) yield* wrapped(text)
  yield* heading('What to fix')
  yield fixesText(fixes, within)
  for (const [index, fix] of fixes.slice(0, MOST_FIXES).entries()) yield* fixLines(fix, index)
  if (fixes.length > MOST_FIXES) yield `and ${plural(fixes.length - MOST_FIXES, 'thing')} more: headrace findings lists them all`
  for (const part of partsOf(report)) yield* partLines(part)
}

function* heading(text: string): Generator<string> {
  yield ''
  yield text
  yield '-'.repeat(text.length)
}

function* fixLines(fix: Fix, index: number): Generator<string> {
  const { level, what, since, safe, action, commands } = fix
  yield ''
  const number = `${index + 1}. `
  const indent = ' '.repeat(number.length)
  yield* wrapped(`${level}: ${what}`, indent, number)
  const size = [...(since === null ? [] : [`since ${minute(since)}`]), sizeText(fix)].filter(text => text !== '').join(', ')
  if (size !== '') yield* wrapped(size, indent)
  yield* wrapped(`${safe} ${action}`, indent)
  for (const command of commands) yield* commandLines(`${indent}$ ${command}`, `${indent}    `)
}

function* partLines({ heading: text, says, tables }: Part): Generator<string> {
  yield* heading(text)
  for (const sentence of says) yield* wrapped(sentence)
  for (const [index, table] of tables.entries()) {
    if (index > 0 || says.length > 0) yield ''
    if (tables.length > 1) yield `${table.caption}:`
    yield* tableLines(table)
    if (table.more > 0) yield `and ${count(table.more)} more`
  }
}

/** Words in lines behind an indent; what the first line begins with takes the place of its indent. */
function* wrapped(text: string, indent = '', begins = indent, width = WIDTH): Generator<string> {
  let line = begins
  for (const word of text.split(' ')) {
    if (line.length > indent.length && line.length + 1 + word.length > width) {
      yield line
      line = indent + word
    } else line += line.length > indent.length ? ` ${word}` : word
  }
  yield line
}

/** A command in lines that a shell takes for one: it is broken before its options. */
function* commandLines(text: string, indent: string): Generator<string> {
  let line = ''
  for (const part of text.split(/ (?=--)/)) {
    if (line !== '' && line.length + 3 + part.length > WIDTH) {
      yield `${line} \\`
      line = indent + part
    } else line = line === '' ? part : `${line} ${part}`
  }
  yield line
}

/** A table as aligned columns; long names in it are cut, but for a last column of text, which goes on in further lines. */
function* tableLines({ columns: names, rows }: PartTable): Generator<string> {
  const shown = rows.map(row =>
    row.map((cell, column) => (typeof cell === 'string' && column < names.length - 1 ? cut(cell) : cell)),
  )
  const all = [names, ...shown]
  if (rows.every(row => typeof row.at(-1) === 'number')) {
    yield* columns(all)
    return
  }
  const before = columns(all.map(row => row.slice(0, -1)))
  const width = Math.max(...before.map(({ length }) => length))
  for (const [index, line] of before.entries()) {
    const [first = '', ...others] = wrapped(String(all[index]?.at(-1)), '', '', Math.max(LEAST, WIDTH - width - 2))
    yield `${line.padEnd(width)}  ${first}`.trimEnd()
    for (const other of others) yield ' '.repeat(width + 2) + other
  }
}

function cut(text: string): string {
  return text.length > COLUMN ? `${text.slice(0, COLUMN - 1)}…` : text
}
