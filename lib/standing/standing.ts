import { addDays, type Day, dayCount } from '../chunk.ts'
import type { Client } from '../config.ts'
import type { ChunkRecord } from '../ledger/ledger.ts'
import type { ExtentUpTo, LedgerOverview } from '../ledger/overview.ts'
import type { LedgerReader } from '../ledger/reader.ts'
import type { Pipeline } from '../pipeline.ts'
import { finalThrough } from '../plan/finality.ts'

/** How one client stands. */
export interface Standing {
  readonly client: string
  /** The first day that was ever asked for or published; null when none was. */
  readonly first: Day | null
  /** The last day up to which, from the first one on, every day is published; null when there is none. */
  readonly completeThrough: Day | null
  /** The last day up to which nothing is read again by itself; null when there is none. */
  readonly finalThrough: Day | null
  /** How its published days lie; undefined when it has none. */
  readonly extent: ExtentUpTo | undefined
}

/** How some clients stand, and by client the chunks that are held, failed or parked, newest first. */
export interface Standings {
  readonly standings: readonly Standing[]
  readonly problems: ReadonlyMap<string, readonly ChunkRecord[]>
}

/** More than anybody has. */
const ALL = 1_000_000

/** How each client stands with a pipeline; `client` is given when only one is asked about. The ledger is asked a few questions, however many there are. */
export async function standingsOf(
  pipeline: Pipeline,
  clients: readonly Client[],
  { through, client }: { readonly through: Day; readonly client?: string | undefined },
  ledger: LedgerReader & LedgerOverview,
): Promise<Standings> {
  const { name } = pipeline
  // First what is published, then what is not: a chunk that is published in between is missed, and none that is still to be done.
  const extents = new Map((await ledger.extentsUpTo(name, through, client)).map(extent => [extent.client, extent]))
  const published = [...extents.values()].some(hasGaps) ? await ledger.publishedDays(name, client) : undefined
  const undone = await ledger.undone(name)
  const problems = Map.groupBy(await ledger.problems(name, undefined, ALL), ({ chunk }) => chunk.client)
  const occasions = Map.groupBy(await ledger.occasions(name), occasion => occasion.client)

  const standings = clients.map(({ id, timeZone }): Standing => {
    const extent = extents.get(id)
    const waits = undone.get(id)
    const first = earliest(extent?.first, waits?.from)
    if (first === null) return { client: id, first, completeThrough: null, finalThrough: null, extent }
    const completeThrough = completeFrom(first, extent, published?.get(id))
    const todo = [waits?.openFrom, extent?.upTo.doubtfulFrom, ...(problems.get(id) ?? []).map(({ chunk }) => chunk.window.from)]
    const finality = {
      timeZone,
      coverage: { first, completeThrough },
      occasions: occasions.get(id) ?? [],
      open: todo.flatMap(from => (from === undefined || from === null ? [] : [{ from, to: from }])),
    }
    return { client: id, first, completeThrough, finalThrough: finalThrough(pipeline, finality), extent }
  })
  return { standings, problems }
}

/** The last day up to which, from the first one on, every day is published; null when there is none. */
function completeFrom(first: Day, extent: ExtentUpTo | undefined, published: readonly Day[] = []): Day | null {
  if (extent === undefined || first < extent.first) return null
  if (!hasGaps(extent)) return extent.last
  // As long as no day is missing, the position of a day says which one it is.
  let [whole, end] = [0, published.length]
  while (whole + 1 < end) {
    const middle = (whole + end) >> 1
    if (published[middle] === addDays(first, middle)) whole = middle
    else end = middle
  }
  return published[whole] ?? null
}

function hasGaps({ first, last, days }: ExtentUpTo): boolean {
  return days < dayCount({ from: first, to: last })
}

/** The earlier of two days that may not be there. */
function earliest(a: Day | undefined, b: Day | undefined): Day | null {
  return [a, b].filter(day => day !== undefined).sort()[0] ?? null
}
