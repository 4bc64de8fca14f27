import type { PublishedDay } from '../ledger/ledger.ts'
import { type Baseline, baselineOf } from './baseline.ts'
import { clientsOf, clientsText, type Finding, numberText, percentText } from './finding.ts'
import { bySubject, findingAt, holidaysOf, judgedDays, placesOf, sumOf, valuesOf, type Watched } from './watched.ts'

/** A count against what is expected of it. */
interface Compared {
  readonly epochDay: number
  readonly value: number
  readonly baseline: Baseline
}

/** The rows of one client. */
interface ComparedDay extends Compared {
  readonly day: PublishedDay
}

/** The rows of all clients that can be compared. */
interface Together extends Compared {
  readonly members: readonly ComparedDay[]
}

/** Counts are never closer to what is expected of them than this share of it. */
const LEAST_SPREAD = 0.03

/**
 * Rows of a day against the same weekday, of each client, and of all together. Nothing is said of holidays, while history is short, and of clients
 * without a row: see `empty`.
 */
export function volume(watched: Watched): Finding[] {
  const { leastRows, deviations, share, shareOfAll } = watched.pipeline.thresholds
  const isFar = ({ value, baseline: { expected, spread } }: Compared, least: number): boolean => {
    const distance = Math.abs(value - expected)
    const deviation = Math.max(spread, Math.sqrt(Math.max(expected, 1)), LEAST_SPREAD * expected)
    return distance >= Math.max(leastRows, least * expected) && distance / deviation >= deviations
  }
  const { clients, all } = compare(watched)
  const far = bySubject(
    clients.filter(one => one.value > 0 && isFar(one, share)),
    direction,
  )
  const farTogether = bySubject(
    all.filter(one => isFar(one, shareOfAll)),
    direction,
  )
  const subjects = [...new Set([...far.keys(), ...farTogether.keys()])].sort()
  return subjects.map(subject => findingOf(watched, subject, far.get(subject) ?? [], farTogether.get(subject)?.[0]))
}

/** Rows of the newest whole day against what is expected of them, over all clients; undefined while history is short, and on holidays. */
export function volumeRatio(watched: Watched): number | undefined {
  const { clients } = compare(watched)
  const newest = clients.reduce((last, { epochDay }) => Math.max(last, epochDay), 0)
  const members = clients.filter(({ epochDay }) => epochDay === newest)
  const expected = sumOf(members, ({ baseline }) => baseline.expected)
  return expected === 0 ? undefined : sumOf(members, ({ value }) => value) / expected
}

function direction({ value, baseline }: Compared): 'more' | 'fewer' {
  return value > baseline.expected ? 'more' : 'fewer'
}

function compare(watched: Watched): { readonly clients: readonly ComparedDay[]; readonly all: readonly Together[] } {
  const holidays = holidaysOf(watched.pipeline)
  const rows = new Map([...watched.days].map(([client, days]) => [client, valuesOf(days, day => day.rows)]))
  const clients = [...judgedDays(watched)].flatMap(({ client, epochDay, day }) => {
    const baseline = baselineOf(rows.get(client) ?? new Map(), epochDay, holidays)
    return baseline === undefined || holidays.has(epochDay) ? [] : [{ epochDay, day, value: day.rows, baseline }]
  })
  const sums = new Map<number, number>()
  for (const days of rows.values()) for (const [epochDay, value] of days) sums.set(epochDay, (sums.get(epochDay) ?? 0) + value)
  const some = clients.filter(({ value }) => value > 0)
  const all = [...Map.groupBy(some, ({ epochDay }) => epochDay)].flatMap(([epochDay, members]) => {
    const baseline = baselineOf(sums, epochDay, holidays)
    if (baseline === undefined || members.length < 2) return []
    // Expected is what those are expected to have that are there: a client that is missing is not a matter of volume.
    const expected = sumOf(members, member => member.baseline.expected)
    return [{ epochDay, value: sumOf(members, ({ value }) => value), baseline: { ...baseline, expected }, members }]
  })
  return { clients, all }
}

function findingOf(watched: Watched, subject: string, far: readonly ComparedDay[], all: Together | undefined): Finding {
  // Where all together are far off, whoever is off in the same direction has a part in it.
  const concerned = all === undefined ? far : all.members.filter(member => direction(member) === direction(all))
  const off = (some: readonly Compared[]): string => {
    const [rows, expected] = [sumOf(some, ({ value }) => value), sumOf(some, ({ baseline }) => baseline.expected)]
    const sign = rows > expected ? '+' : ''
    return `${numberText(rows)} rows, ${numberText(expected)} expected (${sign}${percentText(rows / expected - 1)})`
  }
  const together = all === undefined ? '' : `all clients together ${off([all])}; most of it `
  const named = far.length > 0 ? far : concerned
  return findingAt(watched, 'volume', {
    subject,
    what: `${subject.slice(0, 10)}: ${together}${clientsText(clientsOf(placesOf(named)))} ${off(named)}`,
    places: placesOf(concerned),
    rows: Math.abs(sumOf(concerned, ({ value, baseline }) => value - baseline.expected)),
  })
}
