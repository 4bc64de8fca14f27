import { describe } from './mapping.ts'
import type { AnyExpr, Pipeline, Upstream } from './pipeline.ts'
import type { Schedule } from './plan/schedule.ts'
import type { Column } from './table.ts'

/** A pipeline as documentation, in Markdown: every column, where it comes from, and what is demanded of it. */
export function describePipeline(pipeline: Pipeline): string {
  const { name, description, source, table, map, chunk, checks, totals, schedule, after } = pipeline
  const rows = Object.entries<Column>(table.columns).map(([column, declared]) => [
    `\`${column}\``,
    declared.nullable ? `${declared.type}, nullable` : declared.type,
    describe(map[column] as AnyExpr),
    whenAbsent(map[column] as AnyExpr),
    demands(declared),
    declared.description ?? '',
  ])
  return [
    `# ${name}`,
    '',
    ...(description === undefined ? [] : [description, '']),
    `Reads \`${source.name}\`, ${chunk.days === 1 ? 'one day' : `up to ${chunk.days} days`} at a time, and publishes into \`${table.name}\`` +
      `${table.description === undefined ? '' : ` (${table.description})`}.`,
    '',
    ...markdownTable(['column', 'type', 'comes from', 'when absent', 'must be', 'meaning'], rows),
    '',
    `- Replaced as a whole: the rows of one \`client_id\` for the days of \`${table.partitionBy}\` that were read.`,
    table.key.length === 0
      ? '- Key: none; equal rows are all kept.'
      : `- Key: ${table.key.map(code).join(', ')}. The same row twice is kept once, another row with the same key is rejected.`,
    `- Clustered by: ${table.clusterBy.map(code).join(', ')}.`,
    totals.length === 0
      ? '- Control totals: none.'
      : `- Control totals: ${totals.map(code).join(', ')}; the sums read must be the sums in the table.`,
    ...sourceLine(pipeline),
    `- Held for a person when more than ${share(checks.rejects.atMost)} of the records are rejected` +
      `${checks.volume.atLeast === 0 ? '' : ` or fewer rows arrive than ${share(checks.volume.atLeast)} of the last time`}.`,
    `- A day that had rows and comes back empty: ${EMPTY[checks.empty]}.`,
    `- Fields that are read and come differently than before: ${DRIFT[checks.drift]}.`,
    schedule.length === 0
      ? '- Due: never by itself.'
      : `- Due on the clock of each client: ${schedule.map(due).join('; ')}. With them, days that should be published and are not.`,
    ...(after.length === 0 ? [] : [`- Read once their days are published by: ${after.map(waited).join('; ')}.`]),
    '',
  ].join('\n')
}

function sourceLine({ sourceTotals, checks }: Pipeline): string[] {
  const { atMost, policy } = checks.sourceTotals
  const stated = Object.entries(sourceTotals).map(([column, expr]) => `${code(column)} from ${describe(expr)}`)
  if (stated.length === 0) return []
  const within = atMost === 0 ? '' : `, give or take ${share(atMost)}`
  const otherwise = policy === 'warn' ? 'published with a warning' : 'read again, then held for a person'
  return [
    `- Totals that the source states: ${stated.join(', ')}; what is read must add up to them${within}, or it is ${otherwise}.`,
  ]
}

function due({ name, cron, lookbackDays }: Schedule): string {
  return `${code(name)} at ${code(cron)}, ${lookbackDays === 1 ? 'the day before' : `the ${lookbackDays} days before`}`
}

function waited({ pipeline, gaps, policy }: Upstream): string {
  const some = gaps === 0 ? '' : `, all but ${share(gaps)}`
  return `${code(pipeline)}${some}${policy === 'skip' ? ', or failed when it did' : ''}`
}

const EMPTY = {
  confirm: 'read again, and believed when it is empty twice',
  hold: 'read again, then held for a person',
  allow: 'believed at once',
} as const

const DRIFT = {
  warn: 'published, with a warning',
  hold: 'held for a person',
  fail: 'tried again, then failed',
} as const

/** What becomes of a row whose record lacks the field that a column reads. */
function whenAbsent({ operation, path, nullable }: AnyExpr): string {
  if (path === undefined && operation !== 'custom') return ''
  return nullable ? 'null' : 'rejected'
}

function demands({ constraints: { minimum, maximum, enum: values, maxLength, pattern } }: Column): string {
  return [
    ...(minimum === undefined ? [] : [`at least ${minimum}`]),
    ...(maximum === undefined ? [] : [`at most ${maximum}`]),
    ...(values === undefined ? [] : [`one of ${values.map(code).join(', ')}`]),
    ...(maxLength === undefined ? [] : [`at most ${maxLength} characters`]),
    ...(pattern === undefined ? [] : [`like ${code(pattern)}`]),
  ].join('; ')
}

function code(text: string | number): string {
  return String(text).includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}

function share(value: number): string {
  return `${Number((value * 100).toFixed(4))} %`
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = [head, ...rows].map(row => row.map(cell => cell.replaceAll(/\s*[\r\n]+\s*/g, ' ').replaceAll('|', '\\|')))
  const widths = head.map((_, column) => Math.max(3, ...cells.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(cells[0] ?? []), line(widths.map(width => '-'.repeat(width))), ...cells.slice(1).map(line)]
}
