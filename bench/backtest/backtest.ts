import { addDays, daysOf, toEpochDay } from '../../lib/chunk.ts'
import { defineConnector } from '../../lib/connector.ts'
import type { PublishedDay } from '../../lib/ledger/ledger.ts'
import type { PublishedChunk } from '../../lib/ledger/reader.ts'
import { client, day, integer, optional, text } from '../../lib/mapping.ts'
import type { MonitorName } from '../../lib/monitor/finding.ts'
import { PIPELINE_MONITORS } from '../../lib/monitor/monitors.ts'
import { HISTORY_DAYS } from '../../lib/monitor/watched.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { date, defineTable, int64, nullable, string } from '../../lib/table.ts'
import { type AirportDay, HALF_YEAR, publishedDays } from './days.ts'
import { FAULTS, type Fault, type FaultKind, faultsOf } from './faults.ts'

/** A flight as the pipeline of the backtest would read it. */
interface Flight {
  origin: string
  day: string
  destination: string | null
  distance: number
  delay: number
  band: string
}

/** The pipeline that is watched: what the demo reads, with a column that may be null and one with declared values; thresholds as shipped. */
const pipeline = definePipeline({
  name: 'flights',
  source: defineConnector<Flight>({ name: 'flights', async *pages() {} }),
  table: defineTable(
    'air.flights',
    {
      client_id: string(),
      date: date(),
      destination: nullable(string()),
      distance: int64(),
      delay: int64(),
      band: string({ enum: ['short', 'medium', 'long'] }),
    },
    { partitionBy: 'date' },
  ),
  map: {
    client_id: client('origin'),
    date: day('day'),
    destination: optional(text('destination')),
    distance: integer('distance'),
    delay: integer('delay'),
    band: text('band'),
  },
  totals: ['distance', 'delay'],
  freshness: { hours: 36 },
  // As the United States had them; the last one moves people for days.
  holidays: ['2001-01-01', '2001-01-15', '2001-02-19', '2001-05-26', '2001-05-27', '2001-05-28'],
})

/** Two hours after the days were read, every day. */
const WATCHED_AT_MS = 32 * 3_600_000

/** Something that was told: a finding, on the first day that it was there. */
export interface Told {
  readonly monitor: MonitorName
  readonly subject: string
  readonly what: string
  /** The last day that was published when it was told. */
  readonly on: string
  /** Airports and days, as `ORD 2001-03-05`. */
  readonly places: ReadonlySet<string>
}

/** A fault, and who told of it. */
export interface Judged {
  readonly fault: Fault
  /** The most rows of one airport and day that are wrong because of it. */
  readonly rows: number
  readonly by: ReadonlySet<MonitorName>
  /** Days from the first day of the fault to the first word of it. */
  readonly after: number
}

/** Whether a fault concerns fewer rows of any airport and day than the monitors tell anybody of. */
export function isSmall({ rows }: Judged): boolean {
  return rows < pipeline.thresholds.leastRows
}

/** What a backtest found. */
export interface Backtest {
  readonly days: number
  readonly airports: number
  readonly judged: readonly Judged[]
  /** What was told that is not about any fault. */
  readonly alarms: readonly Told[]
  /** What was told of the same half year without faults. */
  readonly healthy: readonly Told[]
}

/** Every airport. */
const ALL_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Lives through half a year of flights day by day, with so many faults, as the monitors would have. */
export async function backtest(seed: number, count: number, letters: string = ALL_LETTERS): Promise<Backtest> {
  const healthy = await publishedDays([], letters)
  const { airports } = healthy
  // Five weeks on, every weekday has the history that monitors ask for; the last days are for those that need time.
  const within = { from: addDays(HALF_YEAR.from, 35), to: addDays(HALF_YEAR.to, -4) }
  const faults = faultsOf(seed, count, airports, within)
  const { days } = count === 0 ? healthy : await publishedDays(faults, letters)
  const usual = live(airports, healthy.days)
  const told = count === 0 ? usual : live(airports, days)
  // What is told of a place anyway is no word of a fault.
  const anyway = new Set(usual.flatMap(({ monitor, places }) => [...places].map(place => `${monitor} ${place}`)))
  const wrong = wrongRows(healthy.days, days)
  const concerned = new Set<string>()
  const judged = faults.map(fault => {
    const places = fault.airports.flatMap(airport => daysOf(fault.window).map(day => `${airport} ${day}`))
    for (const place of places) concerned.add(place)
    const isAbout = ({ monitor, places: of }: Told): boolean =>
      places.some(place => of.has(place) && !anyway.has(`${monitor} ${place}`))
    const about = told.filter(isAbout)
    return {
      fault,
      rows: Math.max(...places.map(place => wrong(fault.kind, place))),
      by: new Set(about.map(({ monitor }) => monitor)),
      after: Math.min(...about.map(({ on }) => toEpochDay(on) - toEpochDay(fault.window.from))),
    }
  })
  const alarms = told.filter(({ places }) => ![...places].some(place => concerned.has(place)))
  return { days: days.size, airports: airports.length, judged, alarms, healthy: usual }
}

/** How many rows of a place are wrong because of a fault, by the half year with faults and the one without. */
function wrongRows(
  healthy: ReadonlyMap<string, readonly AirportDay[]>,
  faulty: ReadonlyMap<string, readonly AirportDay[]>,
): (kind: FaultKind, place: string) => number {
  const byPlace = (days: ReadonlyMap<string, readonly AirportDay[]>): Map<string, PublishedChunk> =>
    new Map([...days.values()].flat().map(({ chunk }) => [`${chunk.client} ${chunk.to}`, chunk]))
  const [before, after] = [byPlace(healthy), byPlace(faulty)]
  return (kind, place) => {
    const [was, is] = [before.get(place)?.rows ?? 0, after.get(place)]
    if (kind === 'nulls') return is?.columns.destination?.nulls ?? 0
    return kind === 'shift' || kind === 'repeat' ? was : Math.abs(was - (is?.rows ?? 0))
  }
}

function live(airports: readonly string[], published: ReadonlyMap<string, readonly AirportDay[]>): Told[] {
  const clients = airports.map(id => ({ id, timeZone: 'UTC' }))
  const days = new Map(airports.map(airport => [airport, new Map<number, PublishedDay>()]))
  let chunks: PublishedChunk[] = []
  const told = new Map<string, Told & { places: Set<string> }>()
  for (const [on, airportDays] of published) {
    const epochDay = toEpochDay(on)
    for (const { day, chunk } of airportDays) {
      const known = days.get(day.client)
      if (known === undefined) continue
      known.set(epochDay, day)
      chunks.push(chunk)
    }
    for (const known of days.values()) known.delete(epochDay - HISTORY_DAYS)
    const oldest = addDays(on, -HISTORY_DAYS)
    chunks = chunks.filter(({ to }) => to > oldest)
    const now = Date.parse(on) + WATCHED_AT_MS
    const watched = {
      now,
      pipeline,
      clients,
      days,
      chunks,
      restatements: [],
      drifts: [],
      problems: [],
      bytesBilled: { day: 0, month: 0 },
      quotas: new Map(),
    }
    for (const finding of Object.values(PIPELINE_MONITORS).flatMap(monitor => monitor(watched))) {
      const { monitor, subject, what } = finding
      const key = `${monitor} ${subject}${subject === '' ? on : ''}`
      const known = told.get(key) ?? { monitor, subject, what, on, places: new Set() }
      for (const { client, day } of finding.places) known.places.add(`${client} ${day}`)
      told.set(key, known)
    }
  }
  return [...told.values()]
}

/** Faults by kind: how many there were, how many were told of, by whom. */
export function byKind({ judged }: Backtest): Map<FaultKind, Judged[]> {
  const kinds = Object.keys(FAULTS) as FaultKind[]
  return new Map(kinds.map(kind => [kind, judged.filter(({ fault }) => fault.kind === kind)]))
}
