import { count } from '../quantity.ts'

/** A table of a report; numbers stand to the right, and what is longest in the last column. */
export interface PartTable {
  readonly caption: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
  /** Rows that are not shown. */
  readonly more: number
}

/** The sums of all pipelines, where there are several. */
export function totalRow(rows: readonly (readonly (string | number)[])[]): (string | number)[][] {
  if (rows.length < 2) return []
  const sums = (rows[0] ?? []).map((_, column) => {
    const numbers = rows.map(row => row[column]).filter(cell => typeof cell === 'number')
    return numbers.length === 0 ? '' : numbers.reduce((sum, number) => sum + number, 0)
  })
  return [['all', ...sums.slice(1)]]
}

/** A table without the columns from one on in which there is nothing. */
export function withoutZeros({ columns, rows, ...table }: PartTable, from: number): PartTable {
  const kept = columns.map((_, column) => column < from || rows.some(row => row[column] !== 0 && row[column] !== ''))
  return {
    ...table,
    columns: columns.filter((_, column) => kept[column]),
    rows: rows.map(row => row.filter((_, column) => kept[column])),
  }
}

/** A table, unless it is empty. */
export function some(table: PartTable): PartTable[] {
  return table.rows.length === 0 ? [] : [table]
}

/** Names that stand in one cell. */
const MOST_NAMED = 3

/** The first of some names; the others are counted. */
export function named(names: readonly string[]): string {
  const more = names.length - MOST_NAMED
  return names.slice(0, MOST_NAMED).join(', ') + (more > 0 ? ` and ${count(more)} more` : '')
}
