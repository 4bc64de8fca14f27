import { addDays, type Day } from '../chunk.ts'
import { dayAt } from '../plan/schedule.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Ends of days that were worked out, by zone and day; a thousand clients share a few. */
const ends = new Map<string, number>()

/** Ends that are kept, at most. */
const MOST_ENDS = 10_000

/** When a day is over in a time zone, in epoch milliseconds: the first minute of the day after it, whatever its clocks do in between. */
export function endOfDay(day: Day, timeZone: string): number {
  const key = `${timeZone} ${day}`
  const known = ends.get(key)
  if (known !== undefined) return known
  const midnight = Date.parse(`${addDays(day, 1)}T00:00:00Z`)
  // No zone is further from UTC than this.
  let [before, after] = [midnight - 16 * HOUR_MS, midnight + 16 * HOUR_MS]
  while (after - before > MINUTE_MS) {
    const middle = Math.round((before + after) / 2 / MINUTE_MS) * MINUTE_MS
    if (dayAt(middle, timeZone) > day) after = middle
    else before = middle
  }
  if (ends.size >= MOST_ENDS) ends.clear()
  ends.set(key, after)
  return after
}
