import { type Day, fromEpochDay, toEpochDay } from '../chunk.ts'
import type { PublishedDay } from '../ledger/ledger.ts'
import { median } from './baseline.ts'
import { endOfDay } from './deadline.ts'
import { clientsOf, clientsText, daysText, type Finding, numberText, type Place, percentText } from './finding.ts'
import { findingAt, firstWatched, isJudged, isOver, type Watched } from './watched.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** How one client stands. */
export interface Punctuality {
  readonly client: string
  readonly timeZone: string
  /** The newest day that should be there. */
  readonly due: Day
  /** The newest day that is there, due or not. */
  readonly newest: Day | null
  /** Days that should be there and are not, oldest first. */
  readonly missing: readonly Day[]
  /** The last day up to which, from the first one that is looked at, every day is there; null when the first one is not. */
  readonly completeThrough: Day | null
}

/** How every client stands that is read now; nobody where the pipeline promises nothing. */
export function punctuality({ now, pipeline, clients, days }: Watched): Punctuality[] {
  const { freshness } = pipeline
  if (freshness === null) return []
  return clients.map(({ id: client, timeZone }) => {
    const known = days.get(client) ?? new Map<number, PublishedDay>()
    let due = Math.floor(now / DAY_MS) + 1
    while (endOfDay(fromEpochDay(due), timeZone) + freshness.hours * HOUR_MS > now) due--
    // A client that is new owes no past: that is for a backfill.
    const first = Math.max(firstWatched(now), known.size === 0 ? due : Math.min(...known.keys()))
    const missing: Day[] = []
    let complete = first - 1
    const over = [...known].flatMap(([epochDay, day]) => (isOver(day, timeZone) ? [epochDay] : []))
    for (let epochDay = first; ; epochDay++) {
      const day = known.get(epochDay)
      const there = day !== undefined && isOver(day, timeZone)
      if (there && complete === epochDay - 1) complete = epochDay
      if (!there && epochDay > due) break
      if (!there) missing.push(fromEpochDay(epochDay))
    }
    return {
      client,
      timeZone,
      due: fromEpochDay(due),
      newest: over.length === 0 ? null : fromEpochDay(Math.max(...over)),
      missing,
      completeThrough: complete < first ? null : fromEpochDay(complete),
    }
  })
}

/** The clients of whom nothing is there since the newest day that is due, if they are so many that the pipeline itself is late. */
function lateClients({ pipeline }: Watched, all: readonly Punctuality[]): Punctuality[] {
  const late = all.filter(({ due, newest, missing }) => missing.length > 0 && (newest === null || newest < due))
  return late.length > pipeline.thresholds.staleShare * all.length ? late : []
}

/** Whether the newest day that is due is there, for all but a few clients. */
export function freshness(watched: Watched): Finding[] {
  const all = punctuality(watched)
  const late = lateClients(watched, all)
  if (late.length === 0) return []
  const places = late.flatMap(({ client, missing }) => runAtEnd(missing).map(day => ({ client, day })))
  const { hours = 0 } = watched.pipeline.freshness ?? {}
  return [
    since(
      watched,
      findingAt(watched, 'freshness', {
        subject: '',
        what: `${daysText(places)} missing for ${clientsText(clientsOf(places))} of ${all.length}, promised ${numberText(hours)} h after the end of the day`,
        places,
        rows: expectedRows(watched, places),
      }),
    ),
  ]
}

/** Days that are due and missing, but for those that `freshness` tells of. */
export function completeness(watched: Watched): Finding[] {
  const all = punctuality(watched)
  const late = new Set(lateClients(watched, all))
  const held = heldPlaces(watched)
  const places = all.flatMap(one => {
    const { client, missing } = one
    const told = new Set(late.has(one) ? runAtEnd(missing) : [])
    return missing.filter(day => !told.has(day) && !held(client, day)).map(day => ({ client, day }))
  })
  if (places.length === 0) return []
  const what = `${places.length} days missing (${daysText(places)}) for ${clientsText(clientsOf(places))}`
  return [since(watched, findingAt(watched, 'completeness', { subject: '', what, places, rows: expectedRows(watched, places) }))]
}

/** What is missing began when it was promised, not when the day was over. */
function since({ pipeline: { freshness } }: Watched, finding: Finding): Finding {
  return { ...finding, since: finding.since + (freshness?.hours ?? 0) * HOUR_MS }
}

/** The days at the end that follow each other. */
function runAtEnd(days: readonly Day[]): Day[] {
  const run: Day[] = []
  for (const day of days.toReversed()) {
    const last = run.at(-1)
    if (last !== undefined && toEpochDay(last) - toEpochDay(day) !== 1) break
    run.push(day)
  }
  return run
}

/** Whether a chunk that waits for a person covers a day: `held` tells of it. */
function heldPlaces({ problems }: Watched): (client: string, day: Day) => boolean {
  const held = problems.filter(({ state }) => state === 'held' || state === 'failed')
  return (client, day) => held.some(({ chunk }) => chunk.client === client && chunk.window.from <= day && day <= chunk.window.to)
}

/** Rows that such days usually have. */
function expectedRows({ days }: Watched, places: readonly Place[]): number {
  const usual = new Map(
    clientsOf(places).map(client => [client, median([...(days.get(client)?.values() ?? [])].map(({ rows }) => rows)) || 0]),
  )
  return places.reduce((sum, { client }) => sum + (usual.get(client) ?? 0), 0)
}

/** Days of the weeks before, with which the last one is compared. */
const PAST_DAYS = 28

/** How much later, in hours and as a share of what it was, is worth telling. */
const LATER = { hours: 2, share: 0.25 } as const

/** Whether days land later after their end than they did in the four weeks before. */
export function landing(watched: Watched): Finding[] {
  const { now, chunks, clients } = watched
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  const landed = new Map<string, { readonly place: Place; readonly hours: number }>()
  for (const { client, to, finishedAt } of chunks) {
    const hours = (finishedAt - endOfDay(to, zones.get(client) ?? 'UTC')) / HOUR_MS
    const key = JSON.stringify([client, to])
    // The first time it was read after its end counts; a past that was filled in a week later says nothing.
    if (hours >= 0 && hours <= 168 && zones.has(client) && !landed.has(key))
      landed.set(key, { place: { client, day: to }, hours })
  }
  const today = Math.floor(now / DAY_MS)
  const all = [...landed.values()].filter(({ place }) => toEpochDay(place.day) >= today - PAST_DAYS)
  const lately = all.filter(({ place }) => isJudged(toEpochDay(place.day), now))
  const before = all.filter(({ place }) => !isJudged(toEpochDay(place.day), now))
  const [is, was] = [lately, before].map(some => median(some.map(({ hours }) => hours)))
  const days = new Set(before.map(({ place }) => place.day)).size
  if (is === undefined || was === undefined || days < 14 || !(is - was >= Math.max(LATER.hours, LATER.share * was))) return []
  const later = lately.filter(({ hours }) => hours > was).map(({ place }) => place)
  const what = `days land ${numberText(is)} h after their end, ${numberText(was)} h in the weeks before (+${percentText(is / was - 1)})`
  return [findingAt(watched, 'landing', { subject: '', what, places: later, rows: 0 })]
}
