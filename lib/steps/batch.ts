import { Bytes } from '../bytes.ts'
import type { Batch, EncodedPage, Segment } from '../row.ts'

/** Rows of one batch at most: the unit of writing. */
export const BATCH_ROWS = 5_000

/** Rows held back over all partitions before the fullest one is let go early; keeps memory flat however long a window is. */
const HELD_ROWS = 4 * BATCH_ROWS

/** What is held back of one partition. */
interface Open {
  rows: number
  readonly bytes: Bytes
}

/**
 * Regroups pages into batches of one partition each. A generator of its own because it keeps rows back: full batches leave at once, the
 * rest when the pages end. Rejects pass through in the order they came.
 */
export async function* batch(pages: AsyncIterable<EncodedPage>, size = BATCH_ROWS): AsyncGenerator<Batch> {
  const open = new Map<string, Open>()
  let held = 0
  function* close(day: string): Generator<Batch> {
    const { rows, bytes } = open.get(day) as Open
    open.delete(day)
    held -= rows
    yield { day, rows, bytes: bytes.slice() }
    bytes.release()
  }

  for await (const { segments, rejects, deduplicated } of pages) {
    if (rejects.length > 0 || deduplicated > 0) yield { rejects, deduplicated }
    for (const segment of segments) {
      for (let from = 0; from < segment.ends.length; ) {
        const group = open.get(segment.day) ?? { rows: 0, bytes: new Bytes() }
        open.set(segment.day, group)
        const to = Math.min(segment.ends.length, from + size - group.rows)
        group.bytes.append(slice(segment, from, to))
        group.rows += to - from
        held += to - from
        from = to
        if (group.rows >= size) yield* close(segment.day)
        else if (held >= HELD_ROWS) yield* close(fullest(open))
      }
    }
  }
  for (const day of [...open.keys()]) yield* close(day)
}

/** The bytes of some rows of a segment. */
function slice({ bytes, ends }: Segment, from: number, to: number): Buffer {
  return bytes.subarray(from === 0 ? 0 : ends[from - 1], ends[to - 1])
}

function fullest(open: ReadonlyMap<string, Open>): string {
  let day = ''
  let most = 0
  for (const [candidate, { rows }] of open) {
    if (rows > most) {
      most = rows
      day = candidate
    }
  }
  return day
}
