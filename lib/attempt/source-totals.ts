import { isDeepStrictEqual } from 'node:util'
import { type Chunk, chunkText } from '../chunk.ts'
import type { SourceColumn } from '../compile.ts'
import { addDecimals, DecimalSum, sameDecimal, subtractDecimals } from '../decimal.ts'
import { type Rule, TransientError } from '../errors.ts'
import type { Reject } from '../row.ts'
import type { DaySummary } from './summary.ts'

/** A control total of a chunk beside what the source states of it; sums as exact decimal text. */
export interface SourceTotal {
  readonly column: string
  /** What the source states; null where it states nothing that can be read. */
  readonly stated: string | null
  /** Why it cannot be read; null where it can. */
  readonly unreadable: string | null
  /** Sum of the rows that are staged. */
  readonly staged: string
  /** Sum of the records that were rejected, as far as they have a value. Those of another client or of other days are left out. */
  readonly rejected: string
  /** Whether staged and rejected together are what is stated, within the tolerance. */
  readonly agrees: boolean
}

/** Rejects that are no part of the chunk. */
const STRANGERS: readonly Rule[] = ['client', 'window']

/** Gathers what a source states of a chunk, and what rejects are missing in its rows, while the chunk is read. */
export class SourceTotals {
  readonly #columns: readonly SourceColumn[]
  readonly #chunk: Chunk
  readonly #rejected: readonly DecimalSum[]
  #stated: object | undefined

  constructor(columns: readonly SourceColumn[], chunk: Chunk) {
    this.#columns = columns
    this.#chunk = chunk
    this.#rejected = columns.map(() => new DecimalSum())
  }

  /** Takes what the source states. Something else than before means that it changed under the reader. */
  state(stated: object): void {
    if (this.#stated !== undefined && !isDeepStrictEqual(this.#stated, stated)) {
      const [before, now] = [this.#stated, stated].map(totals => JSON.stringify(totals).slice(0, 200))
      throw new TransientError('PAGE_TOTAL_CHANGED', {
        message: `${chunkText(this.#chunk)}: the totals that the source states went from ${before} to ${now}`,
        hint: 'Rows moved while they were read, so some may be missing or doubled. The chunk is read again.',
      })
    }
    this.#stated = stated
  }

  /** Adds up what did not become rows: the source counts it all the same. */
  refused(rejects: readonly Reject[]): void {
    for (const { rule, record } of rejects) {
      if (STRANGERS.includes(rule)) continue
      for (const [index, { ofRecord, ofRow }] of this.#columns.entries()) {
        // What the warehouse refuses is a row; all other rejects are records.
        const read = (rule === 'warehouse' ? ofRow : ofRecord)(record, this.#chunk)
        if ('value' in read) this.#rejected[index]?.add(read.value as number | string)
      }
    }
  }

  /**
   * Every column that the source states a total of, when so many records were read. What is not stated of no records at all is zero: many APIs leave it
   * out then. `atMost` is the share that may be missing or too much.
   */
  compare(extracted: number, days: readonly DaySummary[], atMost: number): SourceTotal[] {
    return this.#columns.map(({ name: column, stated: read }, index) => {
      const staged = days.reduce((sum, { totals }) => addDecimals(sum, totals[column] ?? '0'), '0')
      const rejected = String(this.#rejected[index])
      const found = read(this.#stated ?? {}, this.#chunk)
      if ('value' in found || (extracted === 0 && found.reject.rule === 'required')) {
        const stated = 'value' in found ? String(found.value) : '0'
        const agrees = agree(stated, addDecimals(staged, rejected), atMost)
        return { column, stated, unreadable: null, staged, rejected, agrees }
      }
      const { rule, value, reason } = found.reject
      const unreadable = rule === 'required' ? 'it states none' : `${value} ${reason}`
      return { column, stated: null, unreadable, staged, rejected, agrees: false }
    })
  }
}

function agree(stated: string, read: string, atMost: number): boolean {
  if (sameDecimal(stated, read)) return true
  return Math.abs(Number(subtractDecimals(read, stated))) <= atMost * Math.abs(Number(stated))
}

/** What disagrees, as `cost is 12.5 at the source, 11 read and 0.5 rejected`; empty where nothing does. */
export function sourceTotalsText(totals: readonly SourceTotal[]): string {
  return totals
    .filter(({ agrees }) => !agrees)
    .map(({ column, stated, unreadable, staged, rejected }) => {
      const at = unreadable === null ? `is ${stated} at the source` : `cannot be read at the source (${unreadable})`
      return `${column} ${at}, ${staged} staged${rejected === '0' ? '' : ` and ${rejected} rejected`}`
    })
    .join('; ')
}
