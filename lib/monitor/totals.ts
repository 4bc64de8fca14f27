import { sourceTotalsText } from '../attempt/source-totals.ts'
import { daysOf, toEpochDay } from '../chunk.ts'
import type { PublishedDay } from '../ledger/ledger.ts'
import { baselineOf } from './baseline.ts'
import { clientsOf, clientsText, daysText, type Finding, numberText } from './finding.ts'
import { bySubject, findingAt, holidaysOf, isJudged, judgedDays, placesOf, sumOf, valuesOf, type Watched } from './watched.ts'

/** A ratio of one day: a control total per row, or per another one. */
interface Ratio {
  readonly total: string
  readonly per: string
  readonly of: (day: PublishedDay) => number
}

/** Every control total per row, and per every other one that is declared before it: cost per click, with `['clicks', 'cost']`. */
function ratiosOf(totals: readonly string[]): Ratio[] {
  const value = (day: PublishedDay, name: string): number => Number(day.totals[name] ?? Number.NaN)
  return totals.flatMap((total, index) => [
    { total, per: 'row', of: day => value(day, total) / day.rows },
    ...totals.slice(0, index).map(per => ({ total, per, of: (day: PublishedDay) => value(day, total) / value(day, per) })),
  ])
}

/** A ratio of a day that is far from what is expected of it. */
interface Far {
  readonly epochDay: number
  readonly day: PublishedDay
  readonly ratio: Ratio
  readonly value: number
  readonly expected: number
}

/** What scatters by more than this share of what is expected has no usual value. */
const MOST_SPREAD = 0.5

/** Ratios are never closer to what is expected of them than this share of it. */
const LEAST_SPREAD = 0.03

/**
 * Control totals per row, and per each other, against the same weekday, of each client. The totals themselves follow: they are rows, which `volume`
 * watches, times these. Nothing is said of holidays, while history is short, and of
 * a ratio that scatters about zero.
 */
export function totals(watched: Watched): Finding[] {
  const { pipeline } = watched
  const { leastRows, deviations, share } = pipeline.thresholds
  const holidays = holidaysOf(pipeline)
  const judged = [...judgedDays(watched)].filter(({ epochDay, day }) => !holidays.has(epochDay) && day.rows >= leastRows)
  const far = ratiosOf(pipeline.totals).flatMap(ratio => {
    const series = new Map([...watched.days].map(([client, days]) => [client, finite(valuesOf(days, ratio.of))]))
    return judged.flatMap(({ client, epochDay, day }): Far[] => {
      const values = series.get(client) ?? new Map<number, number>()
      const value = values.get(epochDay) ?? Number.NaN
      const { expected = Number.NaN, spread = 0 } = baselineOf(values, epochDay, holidays) ?? {}
      const [distance, usual] = [Math.abs(value - expected), Math.abs(expected)]
      const isLarge = distance >= Math.max(share, leastRows / day.rows) * usual
      const isUnusual = distance >= deviations * Math.max(spread, LEAST_SPREAD * usual)
      return isLarge && isUnusual && spread <= MOST_SPREAD * usual ? [{ epochDay, day, ratio, value, expected }] : []
    })
  })
  return [...bySubject(far, ({ ratio }) => ratio.total)].map(([subject, members]) => {
    // What is off per row is off per other totals too; it is told of once.
    const per = members[0]?.ratio.per
    const told = members.filter(({ ratio }) => ratio.per === per)
    const places = placesOf(told)
    const rows = sumOf(told, ({ day }) => day.rows)
    const mean = (value: (one: Far) => number): string => numberText(sumOf(told, one => value(one) * one.day.rows) / rows)
    const off = `${mean(({ value }) => value)} per ${per}, ${mean(({ expected }) => expected)} expected`
    const what = `${subject} ${off}, ${clientsText(clientsOf(places))}, ${numberText(rows)} rows`
    return findingAt(watched, 'totals', { subject, what, places, rows })
  })
}

function finite(values: Map<number, number>): Map<number, number> {
  for (const [epochDay, value] of values) if (!Number.isFinite(value)) values.delete(epochDay)
  return values
}

/** Chunks that do not add up to what the source states, by column. Days that were read again since count as they were read last. */
export function sourceTotals(watched: Watched): Finding[] {
  const seen = new Set<string>()
  const off = watched.chunks.toReversed().flatMap(({ client, rows, sourceTotals, ...window }) => {
    const places = daysOf(window).flatMap(day => {
      const isLast = isJudged(toEpochDay(day), watched.now) && !seen.has(`${client} ${day}`)
      seen.add(`${client} ${day}`)
      return isLast ? [{ client, day }] : []
    })
    return places.length === 0 ? [] : sourceTotals.flatMap(total => (total.agrees ? [] : [{ total, places, rows }]))
  })
  return [...Map.groupBy(off, ({ total }) => total.column)].map(([subject, members]) => {
    const places = members.flatMap(member => member.places)
    const last = sourceTotalsText(members.slice(0, 1).map(({ total }) => total))
    const what = `${clientsText(clientsOf(places))}, ${daysText(places)}; the last: ${last}`
    return findingAt(watched, 'source_totals', { subject, what, places, rows: sumOf(members, ({ rows }) => rows) })
  })
}
