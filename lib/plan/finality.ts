import { addDays, type Day, type Window } from '../chunk.ts'
import type { Occasion } from '../ledger/served.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Coverage } from '../standing/coverage.ts'
import { dayAt, nextOccasion } from './schedule.ts'

/** What decides whether days of one client are final. */
export interface Finality {
  /** Of the client. */
  readonly timeZone: string
  readonly coverage: Pick<Coverage, 'first' | 'completeThrough'>
  /** The occasions of the client that were answered, the newest of each schedule. */
  readonly occasions: readonly Pick<Occasion, 'schedule' | 'at'>[]
  /** Windows of chunks of the client that are not done: those that wait, are under way, or are held, failed or parked and not published since. */
  readonly open: readonly Window[]
}

/**
 * The last day up to which, from the first one on, every day of a client is published and will not be read again by itself: the next occasion of every
 * schedule looks back to later days only, and nothing that was asked for is still to be done. Null when there is no such day, and as long as a
 * schedule was never answered.
 */
export function finalThrough(
  { schedule }: Pick<Pipeline, 'schedule'>,
  { timeZone, coverage: { first, completeThrough }, occasions, open }: Finality,
): Day | null {
  if (first === null || completeThrough === null) return null
  const answered = new Map(occasions.map(({ schedule, at }) => [schedule, at]))
  const bounds = [completeThrough, ...open.map(({ from }) => addDays(from, -1))]
  for (const one of schedule) {
    const at = answered.get(one.name)
    if (at === undefined) return null
    // The next occasion reads as many days as the schedule looks back, up to the day before.
    bounds.push(addDays(dayAt(nextOccasion(one, timeZone, at), timeZone), -one.lookbackDays - 1))
  }
  const last = bounds.reduce((a, b) => (a < b ? a : b))
  return last < first ? null : last
}
