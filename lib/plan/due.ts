import { addDays, type Day, daysOf, splitWindow, type Window } from '../chunk.ts'
import type { PublishedDay } from '../ledger/ledger.ts'
import type { Priority } from '../ledger/pace.ts'
import type { LedgerReader } from '../ledger/reader.ts'
import { dayAt, lastOccasion, type Schedule } from './schedule.ts'

/**
 * Days that are live: those of schedules that look back no further than this, and missing ones that are not older. A week is what people look at
 * in the morning; whatever reaches further back can wait for it.
 */
export const LIVE_DAYS = 7

/** A schedule, its newest occasion in epoch milliseconds, and the last day that one is about. */
export interface Turn extends Schedule {
  readonly at: number
  readonly through: Day
}

/** What is published of a client. */
export interface Known {
  /** The first day that was ever published; undefined when none was. */
  readonly first: Day | undefined
  /** Stretches of days that certainly are, oldest first. */
  readonly published: readonly Window[]
  readonly doubtful: ReadonlySet<Day>
}

/** Days that follow each other, and why they are read. */
export interface Part {
  readonly window: Window
  readonly priority: Priority
  readonly reasons: readonly string[]
}

/** A chunk that nobody has begun to read. */
type Waiting = Awaited<ReturnType<LedgerReader['waiting']>>[number]

/** The newest occasion of every schedule at an instant, for clients of one time zone. */
export function turnsAt(schedule: readonly Schedule[], timeZone: string, now: number): Turn[] {
  return schedule.map(one => {
    const at = lastOccasion(one, timeZone, now)
    return { ...one, at, through: addDays(dayAt(at, timeZone), -1) }
  })
}

/** What is published of a client, from its days, oldest first. */
export function knownOf(days: readonly Pick<PublishedDay, 'day' | 'doubtful'>[]): Known {
  const published: { from: Day; to: Day }[] = []
  for (const { day, doubtful } of days) {
    if (doubtful) continue
    const last = published.at(-1)
    if (last !== undefined && addDays(last.to, 1) === day) last.to = day
    else published.push({ from: day, to: day })
  }
  return {
    first: days[0]?.day,
    published,
    doubtful: new Set(days.filter(({ doubtful }) => doubtful).map(({ day }) => day)),
  }
}

/** How many days of a window are certainly published. */
export function publishedIn(window: Window, { published }: Known): number {
  return daysOf(window).filter(day => published.some(({ from, to }) => from <= day && day <= to)).length
}

/** The days that a schedule reads. */
export function lookback({ through, lookbackDays }: Turn): Window {
  return { from: addDays(through, 1 - lookbackDays), to: through }
}

/** The last day that some turns are about. */
export function newest(turns: readonly Turn[]): Day {
  return turns.map(({ through }) => through).reduce((a, b) => (a > b ? a : b))
}

/** What is to be read of one client when some of its turns have come, in parts of at most so many days, oldest first. */
export function dueParts(turns: readonly Turn[], known: Known, waiting: readonly Waiting[], days: number): Part[] {
  const wanted = wantedDays(turns, known)
  for (const [day, { live }] of wanted) if (waiting.some(chunk => willRead(chunk, day, live))) wanted.delete(day)
  const stretches: { from: Day; to: Day; live: boolean }[] = []
  for (const [day, { live }] of [...wanted].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const last = stretches.at(-1)
    if (last !== undefined && last.live === live && addDays(last.to, 1) === day) last.to = day
    else stretches.push({ from: day, to: day, live })
  }
  return stretches.flatMap(({ live, ...stretch }) =>
    splitWindow(stretch, days).map(window => ({
      window,
      priority: live ? 'live' : 'backfill',
      reasons: [...new Set(daysOf(window).flatMap(day => [...(wanted.get(day)?.reasons ?? [])]))],
    })),
  )
}

/** Why a day is wanted. */
interface Want {
  live: boolean
  readonly reasons: Set<string>
}

/**
 * The days that the schedules look back to, and with them, since the client was first published, every day that is not: so an outage, a chunk that failed and
 * a commit whose end is not known are made good at the next occasion, without reading again what lies between. For a client that was never published the
 * first of those days counts as that, so that no hole is left between a month that has ended and yesterday.
 */
function wantedDays(turns: readonly Turn[], known: Known): Map<Day, Want> {
  const wanted = new Map<Day, Want>()
  const want = (day: Day, reason: string, live: boolean): void => {
    const found = wanted.get(day)
    if (found === undefined) wanted.set(day, { live, reasons: new Set([reason]) })
    else found.reasons.add(reason)
  }
  const byHaste = Map.groupBy(turns, ({ lookbackDays }) => lookbackDays <= LIVE_DAYS)
  for (const turn of byHaste.get(true) ?? []) for (const day of daysOf(lookback(turn))) want(day, turn.name, true)
  const through = newest(turns)
  const first = known.first ?? turns.map(turn => lookback(turn).from).reduce((a, b) => (a < b ? a : b))
  for (const day of unpublished(known.published, first, through)) {
    if (known.first === undefined && turns.some(turn => isWithin(day, lookback(turn)))) continue
    const reason = known.doubtful.has(day) ? 'doubtful' : 'missing'
    if (!wanted.has(day)) want(day, reason, known.first !== undefined && day > addDays(through, -LIVE_DAYS))
  }
  for (const turn of byHaste.get(false) ?? []) for (const day of daysOf(lookback(turn))) want(day, turn.name, false)
  return wanted
}

/** Whether a chunk that waits will read a day soon enough: what is live is not left to a backfill, behind which it might wait for days. */
function willRead({ window, priority }: Waiting, day: Day, live: boolean): boolean {
  return isWithin(day, window) && (priority === 'live' || !live)
}

function isWithin(day: Day, { from, to }: Window): boolean {
  return from <= day && day <= to
}

/** The days between two, both included, that are not published. */
function* unpublished(published: Known['published'], first: Day, through: Day): Generator<Day> {
  let next = first
  for (const { from, to } of published) {
    if (next < from) yield* daysOf({ from: next, to: from <= through ? addDays(from, -1) : through })
    next = addDays(to, 1)
  }
  if (next <= through) yield* daysOf({ from: next, to: through })
}
