import { fromEpochDay, toEpochDay } from '../chunk.ts'
import type { Client } from '../config.ts'
import type { ChunkRecord, DriftRecord, PublishedDay, Restatement } from '../ledger/ledger.ts'
import type { BytesBilled, PublishedChunk } from '../ledger/reader.ts'
import type { Pipeline } from '../pipeline.ts'
import { BASELINE_DAYS } from './baseline.ts'
import { endOfDay } from './deadline.ts'
import { type Finding, MONITORS, type MonitorName, type Place, sortedPlaces } from './finding.ts'

/** Days whose content is judged. Older ones were: whoever wanted to know could. */
export const JUDGED_DAYS = 7

/** Days of history that monitors look at: those that are judged, and what each is compared with. */
export const HISTORY_DAYS = BASELINE_DAYS + JUDGED_DAYS

const DAY_MS = 86_400_000

/** What monitors look at: the declaration of a pipeline, and what the ledger holds of it. Never the rows. */
export interface Watched {
  /** Epoch milliseconds. */
  readonly now: number
  readonly pipeline: Pipeline
  /** Those that are read now. */
  readonly clients: readonly Client[]
  /** Published days of the last `HISTORY_DAYS`, of every client the ledger knows, by epoch day. */
  readonly days: ReadonlyMap<string, ReadonlyMap<number, PublishedDay>>
  /** Chunks of these days, in the order they finished. */
  readonly chunks: readonly PublishedChunk[]
  /** Restatements made within these days, in any order. */
  readonly restatements: readonly Restatement[]
  /** Drifts that were shown first within the last `JUDGED_DAYS`. */
  readonly drifts: readonly DriftRecord[]
  /** Chunks that are held, failed or parked. */
  readonly problems: readonly ChunkRecord[]
  readonly bytesBilled: BytesBilled
  /** Of quotas that have a name, the least share that was left within the last hour. */
  readonly quotas: ReadonlyMap<string, number>
}

/** Published days by client and epoch day. */
export function daysByClient(days: Iterable<PublishedDay>): Map<string, Map<number, PublishedDay>> {
  const clients = new Map<string, Map<number, PublishedDay>>()
  for (const day of days) {
    const known = clients.get(day.client) ?? new Map<number, PublishedDay>()
    clients.set(day.client, known.set(toEpochDay(day.day), day))
  }
  return clients
}

/** The first epoch day that is looked at. */
export function firstWatched(now: number): number {
  return Math.floor(now / DAY_MS) - HISTORY_DAYS
}

/** Whether a day is among those whose content is judged. */
export function isJudged(epochDay: number, now: number): boolean {
  return epochDay >= Math.floor(now / DAY_MS) - JUDGED_DAYS
}

/** Whether a day was read after it was over. If its last commit is in doubt, the table holds that day or the one before it, and each is whole. */
export function isOver({ day, readAt }: PublishedDay, timeZone: string): boolean {
  return readAt >= endOfDay(day, timeZone)
}

/** Whether a day was read after it was over, and what the table holds of it is certain. */
export function isWhole(day: PublishedDay, timeZone: string): boolean {
  return !day.doubtful && isOver(day, timeZone)
}

/** A whole day that is judged, and the days of its client. */
export interface Judged {
  readonly client: string
  readonly epochDay: number
  readonly day: PublishedDay
  readonly days: ReadonlyMap<number, PublishedDay>
}

/** The whole days that are judged, of the clients that are read now. */
export function* judgedDays({ now, clients, days }: Watched): Generator<Judged> {
  for (const { id: client, timeZone } of clients) {
    const known = days.get(client)
    if (known === undefined) continue
    for (const [epochDay, day] of known) {
      if (isJudged(epochDay, now) && isWhole(day, timeZone)) yield { client, epochDay, day, days: known }
    }
  }
}

/** The holidays of a pipeline as epoch days. */
export function holidaysOf({ holidays }: Pipeline): Set<number> {
  return new Set(holidays.map(toEpochDay))
}

/** A number of every day. */
export function valuesOf(days: ReadonlyMap<number, PublishedDay>, value: (day: PublishedDay) => number): Map<number, number> {
  return new Map([...days].map(([epochDay, day]) => [epochDay, value(day)]))
}

/** When the first of some places was over, in epoch milliseconds. */
function sinceOf({ clients, now }: Pick<Watched, 'clients' | 'now'>, places: readonly Place[]): number {
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  return places.reduce((since, { client, day }) => Math.min(since, endOfDay(day, zones.get(client) ?? 'UTC')), now)
}

/** What `findingAt` is told. */
interface Found {
  /** What it is about within the monitor. */
  readonly subject: string
  readonly what: string
  readonly places: readonly Place[]
  readonly rows: number
}

/** A finding about some days of some clients, of the first level of its monitor. */
export function findingAt(watched: Watched, monitor: MonitorName, { subject, what, places, rows }: Found): Finding {
  const [level] = MONITORS[monitor].levels
  const since = sinceOf(watched, places)
  return {
    monitor,
    level,
    subject,
    pipelines: [watched.pipeline.name],
    since,
    what,
    places: sortedPlaces(places),
    rows: Math.round(rows),
  }
}

/** The places of some days. */
export function placesOf(items: readonly { readonly day: PublishedDay }[]): Place[] {
  return items.map(({ day: { client, day } }) => ({ client, day }))
}

/** What was judged, by the day it is about and something more that tells causes apart. */
export function bySubject<T extends { readonly epochDay: number }>(
  items: readonly T[],
  more: (item: T) => string = () => '',
): Map<string, T[]> {
  return Map.groupBy(items, item => `${fromEpochDay(item.epochDay)} ${more(item)}`.trim())
}

/** The sum of a number of every item. */
export function sumOf<T>(items: Iterable<T>, value: (item: T) => number): number {
  let sum = 0
  for (const item of items) sum += value(item)
  return sum
}
