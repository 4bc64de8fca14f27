import type { Day } from '../chunk.ts'
import type { Client } from '../config.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Arrival } from '../ledger/work.ts'
import { median } from '../monitor/baseline.ts'
import { endOfDay } from '../monitor/deadline.ts'
import type { Pipeline } from '../pipeline.ts'
import { calendarOf, type DayCell } from '../standing/calendar.ts'
import type { Period } from './period.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Why a day is not there, in the order in which it matters. `partial`: it was read before it was over, and not since. */
export const LACKS = ['missing', 'held', 'failed', 'parked', 'partial', 'toCome'] as const

/** Why a day is not there. */
export type Lack = (typeof LACKS)[number]

/** A client with days that are not there, or were late. */
export interface Wanting {
  readonly client: string
  /** Days that are not there, those that are still to come left out. */
  readonly lacking: number
  readonly late: number
  /** By how many hours the latest came too late; 0 when none did. */
  readonly latestHours: number
  /** Days that nobody reads, oldest first. */
  readonly missing: readonly Day[]
}

/** Days of clients within the time of a report: each client's days, on its own clock. */
export interface DayCounts extends Readonly<Record<Lack, number>> {
  /** Clients of whom some day should be there. */
  readonly clients: number
  /** Days that should be there: `there` and whatever is lacking. */
  readonly expected: number
  /** Published after they were over. */
  readonly there: number
  readonly rows: number
  /** Of those that are there, those that came later than the pipeline promises; null where it promises nothing. */
  readonly late: number | null
  /** By how many hours they were late: the middle one and the latest; null when none was. */
  readonly lateHours: { readonly median: number; readonly most: number } | null
  /** When the first of the days was over that nobody reads, in epoch milliseconds; null when there is none. */
  readonly missingSince: number | null
  /** The clients with such days: those with the most that are not there first, then those with the most late ones. */
  readonly wanting: readonly Wanting[]
}

/** What is there of the days of a report, of one pipeline and every client of the configuration. */
export async function dayCounts(
  pipeline: Pipeline,
  clients: readonly Client[],
  ledger: Ledger,
  { window }: Period,
  now: number,
): Promise<DayCounts> {
  const { rows } = await calendarOf(pipeline, clients, ledger, now, window)
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  // No day is over a whole day before it begins in UTC.
  const arrivals = Map.groupBy(
    await ledger.arrivals(pipeline.name, window, Date.parse(window.from) - DAY_MS),
    ({ client }) => client,
  )
  const counts = { expected: 0, there: 0, rows: 0, missing: 0, held: 0, failed: 0, parked: 0, partial: 0, toCome: 0 }
  const wanting: Wanting[] = []
  const late: number[] = []
  let some = 0
  let missingSince = Number.POSITIVE_INFINITY
  for (const { client, cells } of rows) {
    const zone = zones.get(client) ?? 'UTC'
    const own = { lacking: 0, late: [] as number[], missing: [] as Day[] }
    const due = cells.filter(({ state }) => state !== 'notDue')
    if (due.length > 0) some++
    for (const cell of due) {
      const over = endOfDay(cell.day, zone)
      const arrived = cell.published === null ? undefined : firstArrival(arrivals.get(client) ?? [], cell.day, over)
      counts.expected++
      counts.rows += cell.published?.rows ?? 0
      if (arrived === undefined) {
        const lack = lackOf(cell, over > now)
        counts[lack]++
        if (lack !== 'toCome') own.lacking++
        if (lack === 'missing') {
          own.missing.push(cell.day)
          missingSince = Math.min(missingSince, over)
        }
        continue
      }
      counts.there++
      const hours = pipeline.freshness === null ? 0 : (arrived - over) / HOUR_MS - pipeline.freshness.hours
      if (hours > 0) own.late.push(hours)
    }
    late.push(...own.late)
    if (own.lacking + own.late.length === 0) continue
    const latestHours = Math.max(0, ...own.late)
    wanting.push({ client, lacking: own.lacking, late: own.late.length, latestHours, missing: own.missing })
  }
  wanting.sort((a, b) => b.lacking - a.lacking || b.late - a.late || b.latestHours - a.latestHours)
  return {
    ...counts,
    clients: some,
    late: pipeline.freshness === null ? null : late.length,
    lateHours: late.length === 0 ? null : { median: median(late), most: Math.max(...late) },
    missingSince: Number.isFinite(missingSince) ? missingSince : null,
    wanting,
  }
}

/** When a day was first read after it was over. */
function firstArrival(arrivals: readonly Arrival[], day: Day, over: number): number | undefined {
  return arrivals.find(({ window, at }) => at >= over && window.from <= day && day <= window.to)?.at
}

/** Why a day is not there. What is published of it was read too early. */
function lackOf({ state }: DayCell, isOn: boolean): Lack {
  if (state === 'reading' || state === 'waiting') return 'toCome'
  if (state === 'published' || state === 'restated') return isOn ? 'toCome' : 'partial'
  return state === 'notDue' ? 'toCome' : state
}
