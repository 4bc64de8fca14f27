import { compareDecimals, DecimalSum } from '../decimal.ts'
import type { AnyRow } from '../row.ts'
import type { Column, ColumnType, Table } from '../table.ts'
import { Fingerprint } from './fingerprint.ts'

/** What one day of a chunk holds. This, and never the rows, outlives the chunk. */
export interface DaySummary {
  readonly day: string
  /** Rows staged for this day. */
  readonly rows: number
  /** Rows refused for this day; those whose day is unknown count for the first day of the window. */
  readonly rejected: number
  /** Order-independent content of rows and rejects. See `Fingerprint`. */
  readonly fingerprint: string
  /** Exact sums, as decimal text, by column. */
  readonly totals: Readonly<Record<string, string>>
}

/** What one column of a chunk holds. */
export interface ColumnSummary {
  /** How many rows have null here; only for nullable columns. */
  readonly nulls?: number
  /**
   * Smallest and largest value, as text; only for numbers, days and instants, and only if there is one. They may be those of rows that the
   * warehouse refused later: what was seen cannot be unseen.
   */
  readonly minimum?: string
  readonly maximum?: string
  /** How often each value occurs; only for columns with declared values. */
  readonly values?: Readonly<Record<string, number>>
}

class OpenDay {
  rows = 0
  rejected = 0
  readonly fingerprint = new Fingerprint()
  readonly totals: readonly DecimalSum[]

  constructor(totals: number) {
    this.totals = Array.from({ length: totals }, () => new DecimalSum())
  }
}

type Observe = (rows: readonly AnyRow[]) => void

/** Takes back what `Observe` counted of a row. */
type Forget = (row: AnyRow) => void

/** Gathers the summary of a chunk while its rows stream by, in constant memory. */
export class ChunkSummary {
  readonly #totals: readonly string[]
  readonly #days = new Map<string, OpenDay>()
  readonly #columns: readonly ({ readonly name: string } & Observer)[]

  constructor(table: Table, totals: readonly string[]) {
    this.#totals = totals
    this.#columns = Object.entries(table.columns).flatMap(([name, column]) => {
      const observer = observerOf(name, column)
      return observer === undefined ? [] : [{ name, ...observer }]
    })
  }

  /** The open record of a day; its fingerprint takes the hash of every row. */
  day(day: string): OpenDay {
    const open = this.#days.get(day) ?? new OpenDay(this.#totals.length)
    this.#days.set(day, open)
    return open
  }

  /** Adds staged rows of one day. */
  add(day: string, rows: readonly AnyRow[]): void {
    const open = this.day(day)
    open.rows += rows.length
    for (let total = 0; total < this.#totals.length; total++) {
      const column = this.#totals[total] as string
      const sum = open.totals[total] as DecimalSum
      for (let index = 0; index < rows.length; index++) sum.add((rows[index] as AnyRow)[column] as number | string)
    }
    for (const { observe } of this.#columns) observe(rows)
  }

  /** Takes a row out again that was added, and its hash: all but the ends of the ranges. The numbers of the row may be text. */
  remove(day: string, row: AnyRow, a: number, b: number): void {
    const open = this.day(day)
    open.rows--
    open.fingerprint.add(-a, -b)
    for (const [total, sum] of open.totals.entries()) sum.subtract(row[this.#totals[total] as string] as number | string)
    for (const { forget } of this.#columns) forget?.(row)
  }

  /** One record per day asked for, also for days that had nothing. */
  days(days: readonly string[]): DaySummary[] {
    return days.map(day => {
      const open = this.#days.get(day) ?? new OpenDay(this.#totals.length)
      return {
        day,
        rows: open.rows,
        rejected: open.rejected,
        fingerprint: String(open.fingerprint),
        totals: Object.fromEntries(this.#totals.map((name, index) => [name, String(open.totals[index])])),
      }
    })
  }

  columns(): Record<string, ColumnSummary> {
    return Object.fromEntries(this.#columns.map(({ name, summary }) => [name, summary()]))
  }
}

interface Observer {
  readonly observe: Observe
  /** Absent where nothing can be taken back. */
  readonly forget?: Forget
  readonly summary: () => ColumnSummary
}

/** How a column is observed, or nothing when there is nothing to learn from it. One loop per column and batch keeps every loop simple. */
function observerOf(name: string, { type, nullable, constraints }: Column): Observer | undefined {
  const inner = constraints.enum !== undefined ? countValues(name) : RANGES[type]?.(name)
  if (!nullable) return inner
  let nulls = 0
  return {
    observe: rows => {
      for (let index = 0; index < rows.length; index++) if ((rows[index] as AnyRow)[name] === null) nulls++
      inner?.observe(rows)
    },
    forget: row => {
      if (row[name] === null) nulls--
      inner?.forget?.(row)
    },
    summary: () => ({ nulls, ...inner?.summary() }),
  }
}

function countValues(name: string): Observer {
  const values = new Map<string, number>()
  return {
    observe: rows => {
      for (let index = 0; index < rows.length; index++) {
        const value = (rows[index] as AnyRow)[name]
        if (value !== null) values.set(value as string, (values.get(value as string) ?? 0) + 1)
      }
    },
    forget: row => {
      const value = row[name]
      const count = values.get(value as string) ?? 0
      if (count > 1) values.set(value as string, count - 1)
      else values.delete(value as string)
    },
    summary: () => ({ values: Object.fromEntries(values) }),
  }
}

/** Text that sorts like what it means: days and instants. */
function rangeOfTexts(name: string): Observer {
  let minimum: string | undefined
  let maximum: string | undefined
  return {
    observe: rows => {
      for (let index = 0; index < rows.length; index++) {
        const value = (rows[index] as AnyRow)[name] as string | null
        if (value === null || value === minimum || value === maximum) continue
        if (minimum === undefined || value < minimum) minimum = value
        if (maximum === undefined || value > maximum) maximum = value
      }
    },
    summary: () => (minimum === undefined || maximum === undefined ? {} : { minimum, maximum }),
  }
}

/** Numbers, some of them as decimal text; doubles decide unless only the exact digits can. */
function rangeOfNumbers(name: string): Observer {
  let minimum: string | number | undefined
  let maximum: string | number | undefined
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  return {
    observe: rows => {
      for (let index = 0; index < rows.length; index++) {
        const value = (rows[index] as AnyRow)[name] as string | number | null
        if (value === null) continue
        const number = Number(value)
        if (number < least || (number === least && isLess(value, minimum))) {
          least = number
          minimum = value
        }
        if (number > most || (number === most && isLess(maximum, value))) {
          most = number
          maximum = value
        }
      }
    },
    summary: () => (minimum === undefined || maximum === undefined ? {} : { minimum: String(minimum), maximum: String(maximum) }),
  }
}

/** Which of two values is less that are the same as doubles: only decimal text can tell. */
function isLess(a: string | number | undefined, b: string | number | undefined): boolean {
  return typeof a === 'string' && typeof b === 'string' && a !== b && compareDecimals(a, b) < 0
}

const RANGES: Partial<Record<ColumnType, (name: string) => Observer>> = {
  INT64: rangeOfNumbers,
  NUMERIC: rangeOfNumbers,
  FLOAT64: rangeOfNumbers,
  DATE: rangeOfTexts,
  TIMESTAMP: rangeOfTexts,
}
