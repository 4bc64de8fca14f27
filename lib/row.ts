import type { Bytes } from './bytes.ts'
import { HALF_PAIR } from './convert.ts'
import type { Rule } from './errors.ts'

/** The value of one column in a row. See `ColumnValues` for how each type is held. */
export type Value = string | number | boolean | null

/** A row of some table; which one is not known to the compiler any more. */
export type AnyRow = Record<string, Value>

/** A row refused by a named rule. It is kept beside the table, with its record, and counted. */
export interface Reject {
  /** The column that broke the rule; null when the record as a whole did. */
  readonly column: string | null
  readonly rule: Rule
  /** The offending value, as JSON, cut at 1,000 characters. */
  readonly value: string | null
  /** One clause that continues "column cost ...". */
  readonly reason: string
  /** The day of the row where it is known, for the window to own; else null. */
  readonly day: string | null
  /** What the API gave. */
  readonly record: unknown
}

/** A page on its way: the records that are still good, and the row made of each. */
export interface MappedPage {
  readonly records: readonly unknown[]
  readonly rows: readonly AnyRow[]
  readonly rejects: readonly Reject[]
}

/**
 * Adds one row to bytes as the line of text a warehouse loads: first the key columns of the table, then the rest. Returns how many bytes there
 * are when the key is written. The same row always gives the same line.
 */
export type EncodeRow = (row: AnyRow, bytes: Bytes) => number

/** The rows of one day within a page, as bytes that are overwritten when the next page is encoded. */
export interface Segment {
  readonly day: string
  readonly bytes: Buffer
  /** Where each row ends. */
  readonly ends: Uint32Array
}

/** A page as bytes, and what did not become part of them. */
export interface EncodedPage {
  readonly segments: readonly Segment[]
  readonly rejects: readonly Reject[]
  /** Rows dropped because the chunk held them already. */
  readonly deduplicated: number
}

/**
 * What leaves the batch step: up to 5,000 rows of one partition, the unit of writing, as bytes that are overwritten when the next batch is
 * asked for; or what a page lost.
 */
export type Batch =
  | { readonly day: string; readonly rows: number; readonly bytes: Buffer }
  | { readonly rejects: readonly Reject[]; readonly deduplicated: number }

/**
 * Any value as JSON text that every warehouse reads, for evidence: a record that nothing can be done with must not stop its chunk. Bigints
 * become text, halves of surrogate pairs are spelled out, and what cannot be written at all is named by its kind.
 */
export function jsonText(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? String(inner) : inner))
  } catch {
    // It goes in circles, is nested too deeply, or says itself how it is written and fails.
  }
  return (text ?? JSON.stringify(Object.prototype.toString.call(value))).replaceAll(HALF_PAIR, '$1\\\\')
}

/** A value as it is kept with a reject: JSON text, cut at 1,000 characters. */
export function valueText(value: unknown): string | null {
  if (value === undefined) return null
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : jsonText(value)
  return text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text
}
