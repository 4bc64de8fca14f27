import { type KeyTable, rowHash } from '../attempt/fingerprint.ts'
import type { ChunkSummary } from '../attempt/summary.ts'
import type { Bytes } from '../bytes.ts'
import { type AnyRow, type EncodedPage, type EncodeRow, type MappedPage, type Reject, type Segment, valueText } from '../row.ts'
import type { Table } from '../table.ts'

/** What a chunk remembers of the rows that went by. */
export interface EncodeTarget {
  readonly table: Table
  readonly encodeRow: EncodeRow
  readonly summary: ChunkSummary
  /** Keys seen so far; absent for a table without a key. */
  readonly keys: KeyTable | undefined
  /** Where pages become bytes, one after the other in the same place. */
  readonly scratch: Bytes
}

/**
 * Turns the rows of a page into the bytes the warehouse loads, day by day; from here on no row is an object any more. Each row is hashed into
 * the fingerprint of its day. A row that the chunk already holds is dropped: the same one again counts as deduplicated, another one with
 * the same key is rejected.
 */
export function encodePage(page: MappedPage, target: EncodeTarget): EncodedPage {
  const segments: Segment[] = []
  const conflicts: Reject[] = []
  let deduplicated = 0
  for (const [group, encoded] of encodeDays(byDay(page, target.table.partitionBy), target)) {
    const dropped = admit(group, encoded, target)
    for (const [index, seen] of dropped) {
      if (seen === 'same') deduplicated++
      else conflicts.push(conflict(group, index, target.table))
    }
    const kept = dropped.size === 0 ? group.rows : group.rows.filter((_, index) => !dropped.has(index))
    target.summary.add(group.day, kept)
    if (kept.length > 0) segments.push({ day: group.day, ...without(encoded, dropped) })
  }
  return { segments, rejects: conflicts.length === 0 ? page.rejects : [...page.rejects, ...conflicts], deduplicated }
}

/** The rows of one day within a page, with the records they came from. */
interface DayRows {
  readonly day: string
  readonly rows: readonly AnyRow[]
  readonly records: readonly unknown[]
}

function byDay({ rows, records }: MappedPage, partitionBy: string): DayRows[] {
  const first = rows[0]?.[partitionBy]
  if (first === undefined) return []
  if (rows.every(row => row[partitionBy] === first)) return [{ day: String(first), rows, records }]
  const groups = new Map<string, { day: string; rows: AnyRow[]; records: unknown[] }>()
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index] as AnyRow
    const day = String(row[partitionBy])
    const group = groups.get(day) ?? { day, rows: [], records: [] }
    groups.set(day, group)
    group.rows.push(row)
    group.records.push(records[index])
  }
  return [...groups.values()]
}

/** Rows as bytes, where each row ends and, within it, its key. */
interface Encoded {
  readonly bytes: Buffer
  readonly ends: Uint32Array
  readonly keyEnds: Uint32Array
}

/** All days are written before any of them is looked at: more bytes may move those that are there. */
function encodeDays(groups: readonly DayRows[], { encodeRow, scratch }: EncodeTarget): (readonly [DayRows, Encoded])[] {
  scratch.length = 0
  const places = groups.map(group => {
    const start = scratch.length
    return { group, start, ...encodeRows(group.rows, encodeRow, scratch), end: scratch.length }
  })
  return places.map(({ group, start, end, ...rest }) => [group, { bytes: scratch.slice(start, end), ...rest }])
}

function encodeRows(rows: readonly AnyRow[], encodeRow: EncodeRow, scratch: Bytes): Omit<Encoded, 'bytes'> {
  const start = scratch.length
  const ends = new Uint32Array(rows.length)
  const keyEnds = new Uint32Array(rows.length)
  for (let index = 0; index < rows.length; index++) {
    keyEnds[index] = encodeRow(rows[index] as AnyRow, scratch) - start
    ends[index] = scratch.length - start
  }
  return { ends, keyEnds }
}

/** Hashes every row into the fingerprint of its day and, if the table has a key, finds the rows that are there already. */
function admit(
  group: DayRows,
  { bytes, ends, keyEnds }: Encoded,
  { keys, summary }: EncodeTarget,
): Map<number, 'same' | 'other'> {
  const { fingerprint } = summary.day(group.day)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const dropped = new Map<number, 'same' | 'other'>()
  let start = 0
  for (let index = 0; index < group.rows.length; index++) {
    const end = ends[index] as number
    rowHash.over(view, start, end)
    const { a, b } = rowHash
    if (keys !== undefined) {
      rowHash.over(view, start, keyEnds[index] as number)
      const seen = keys.add(rowHash.a, rowHash.b, a, b)
      if (seen === 'new') fingerprint.add(a, b)
      else dropped.set(index, seen)
    } else {
      fingerprint.add(a, b)
    }
    start = end
  }
  return dropped
}

/** The bytes of the rows that were kept, and where each of them ends. */
function without({ bytes, ends }: Encoded, dropped: ReadonlyMap<number, unknown>): Omit<Segment, 'day'> {
  if (dropped.size === 0) return { bytes, ends }
  const parts: Buffer[] = []
  const kept = new Uint32Array(ends.length - dropped.size)
  let end = 0
  for (let index = 0; index < ends.length; index++) {
    if (dropped.has(index)) continue
    const part = bytes.subarray(index === 0 ? 0 : ends[index - 1], ends[index])
    end += part.length
    kept[parts.push(part) - 1] = end
  }
  return { bytes: Buffer.concat(parts), ends: kept }
}

function conflict({ rows, records, day }: DayRows, index: number, { key }: Table): Reject {
  return {
    column: null,
    rule: 'key',
    value: valueText(Object.fromEntries(key.map(column => [column, rows[index]?.[column]]))),
    reason: `another row of the chunk has the same ${key.join(', ')} and other values; the first one read was kept`,
    day,
    record: records[index],
  }
}
