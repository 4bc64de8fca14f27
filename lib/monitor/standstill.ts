import type { PublishedDay } from '../ledger/ledger.ts'
import { BASELINE_DAYS, median } from './baseline.ts'
import { clientsOf, clientsText, daysText, type Finding, numberText } from './finding.ts'
import type { Thresholds } from './thresholds.ts'
import { bySubject, findingAt, judgedDays, placesOf, sumOf, type Watched } from './watched.ts'

/** How unlikely mere chance must be before anybody is told. */
const CHANCE = 0.001

/** The same for days that are like the one before: a source that stands still does harm on the first day. */
const CHANCE_OF_REPEATS = 0.01

/** Days of history without which nothing is said of chance. */
const FEWEST_DAYS = 14

/** Days of every client that must be empty before it is said that there never were rows. */
const EMPTY_FROM_THE_START = 3

/** The days of a baseline, oldest first. */
function baselineDays(days: ReadonlyMap<number, PublishedDay>, epochDay: number): PublishedDay[] {
  const ago = Array.from({ length: BASELINE_DAYS }, (_, index) => days.get(epochDay - BASELINE_DAYS + index))
  return ago.filter(day => day !== undefined)
}

/**
 * Days without a row. One is enough where every day of the last eight weeks had rows, and usually so many that a count does not come to none by chance; otherwise
 * as many one after the other as do not happen by chance, by how often days were empty before. And a pipeline in which nobody ever had a row.
 */
export function empty(watched: Watched): Finding[] {
  const never = neverAny(watched)
  if (never !== undefined) return [never]
  const { clients, pipeline } = watched
  const found = [...judgedDays(watched)].flatMap(({ days, epochDay, day }) => {
    const first = day.rows === 0 ? firstOfRun(days, epochDay, one => one.rows === 0) : epochDay
    const before = baselineDays(days, first)
    const usual = meanRows(before)
    const empties = epochDay - first + 1
    const chance = chanceOf(before.filter(one => one.rows === 0).length, before.length) ** empties
    const isUnlikely = isFarFromNone(before, pipeline.thresholds) || chance < CHANCE / clients.length
    const isLarge = usual * empties >= pipeline.thresholds.leastRows
    return day.rows === 0 && before.length >= FEWEST_DAYS && isLarge && isUnlikely ? [{ epochDay: first, day, usual }] : []
  })
  // Days that follow each other are one finding: it began on the first.
  return [...bySubject(found)].map(([subject, members]) => {
    const places = placesOf(members)
    const rows = sumOf(members, ({ usual }) => usual)
    const what = `${daysText(places)}: ${clientsText(clientsOf(places))} without a row, ${numberText(rows)} expected`
    return findingAt(watched, 'empty', { subject, what, places, rows })
  })
}

/** Whether every day had rows, and so many that none are further off than days go. */
function isFarFromNone(before: readonly PublishedDay[], { deviations }: Thresholds): boolean {
  const fewest = Math.min(...before.map(({ rows }) => rows))
  return fewest > 0 && median(before.map(({ rows }) => rows)) >= deviations ** 2
}

/** How likely something is of which so many of so many were; of what was never seen, once in as many and two more (Laplace's rule). */
function chanceOf(seen: number, all: number): number {
  return (seen + 1) / (all + 2)
}

/** The first of the days up to one that follow each other and have something in common. */
function firstOfRun(days: ReadonlyMap<number, PublishedDay>, epochDay: number, has: (day: PublishedDay) => boolean): number {
  let first = epochDay
  for (let before = days.get(first - 1); before !== undefined && has(before); before = days.get(first - 1)) first--
  return first
}

function meanRows(days: readonly PublishedDay[]): number {
  return days.length === 0 ? 0 : sumOf(days, ({ rows }) => rows) / days.length
}

/** The weeks of green runs without a row: no history to compare with, and yet nothing can be right about it. */
function neverAny(watched: Watched): Finding | undefined {
  const { days } = watched
  const any = [...days.values()].some(client => [...client.values()].some(({ rows }) => rows > 0))
  const epochDays = new Set([...judgedDays(watched)].map(({ epochDay }) => epochDay))
  if (any || epochDays.size < EMPTY_FROM_THE_START) return undefined
  const published = [...days.values()].flatMap(client => [...client.values()])
  return findingAt(watched, 'empty', {
    subject: 'never',
    what: `no client ever had a row, in ${published.length} published days of ${clientsText([...days.keys()])}`,
    places: published.map(({ client, day }) => ({ client, day })),
    rows: 0,
  })
}

/**
 * Days whose rows and control totals are those of the day before, more often than by chance: by how many clients have such a day at once, and how many
 * of them follow each other, against how often any two days of a client were alike. Needs control totals.
 */
export function repeated(watched: Watched): Finding[] {
  const { leastRows } = watched.pipeline.thresholds
  const judged = [...judgedDays(watched)].filter(({ day }) => day.rows >= leastRows && contentOf(day) !== undefined)
  const found = [...Map.groupBy(judged, ({ epochDay }) => epochDay).values()].flatMap(members => {
    const runs = members.map(({ days, epochDay, day }) => {
      const content = contentOf(day)
      const first = firstOfRun(days, epochDay, one => contentOf(one) === content)
      return { epochDay, day, repeats: epochDay - first, before: baselineDays(days, first) }
    })
    const known = runs.filter(({ before }) => before.length >= FEWEST_DAYS)
    const pairs = sumOf(known, ({ before }) => pairsOf(before.length))
    const alike = sumOf(known, ({ before }) => alikeOf(before))
    const expected = known.length * chanceOf(alike, pairs)
    const repeats = sumOf(known, one => one.repeats)
    return expected ** repeats < CHANCE_OF_REPEATS ? known.filter(one => one.repeats > 0) : []
  })
  return [...bySubject(found)].map(([subject, members]) => {
    const places = placesOf(members)
    const rows = sumOf(members, ({ day }) => day.rows)
    const what = `${subject}: ${clientsText(clientsOf(places))} with the rows and control totals of the day before, ${numberText(rows)} rows`
    return findingAt(watched, 'repeated', { subject, what, places, rows })
  })
}

/** How many pairs of days are alike, those left out that follow each other: the source may have stood still before. */
function alikeOf(days: readonly PublishedDay[]): number {
  const contents = days.map(contentOf).filter((content, index, all) => content !== all[index - 1])
  return sumOf(Map.groupBy(contents, content => content).values(), ({ length }) => pairsOf(length))
}

/** How many pairs there are of so many. */
function pairsOf(count: number): number {
  return (count * (count - 1)) / 2
}

/** What of a day tells it from others; nothing where no control total does. The fingerprint does not: the day itself is a part of its rows. */
function contentOf({ rows, totals }: PublishedDay): string | undefined {
  const numbers = Object.values(totals)
  return numbers.some(total => Number(total) !== 0) ? [rows, ...numbers].join(' ') : undefined
}
