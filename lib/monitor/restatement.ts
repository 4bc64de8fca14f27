import type { Day } from '../chunk.ts'
import type { Restatement } from '../ledger/ledger.ts'
import { endOfDay } from './deadline.ts'
import { clientsOf, clientsText, daysText, type Finding, numberText, percentText } from './finding.ts'
import { findingAt, JUDGED_DAYS, sumOf, type Watched } from './watched.ts'

const DAY_MS = 86_400_000

/** The share of all change after which a day counts as settled. */
const SETTLED = 0.99

/** Restatements without which nothing is known of how days change. */
const FEWEST = 10

/** A restatement and how many days after the end of its day it came. */
interface Aged {
  readonly restatement: Restatement
  readonly age: number
  /** Changed rows: a changed row is one that is gone and one that is new. */
  readonly changed: number
  /** Changed rows as a share of the day. */
  readonly share: number
}

function aged({ restatements, clients }: Watched): Aged[] {
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  return restatements.map(restatement => {
    const { client, day, at, added, removed, rowsBefore, rowsAfter } = restatement
    const changed = Math.max(added, removed)
    const age = ageOf(day, at, zones.get(client) ?? 'UTC')
    return { restatement, age, changed, share: changed / Math.max(rowsBefore, rowsAfter, 1) }
  })
}

/** How old a day was when it changed: how many days after its end, begun ones counted whole. */
export function ageOf(day: Day, at: number, timeZone: string): number {
  return Math.max(1, Math.ceil((at - endOfDay(day, timeZone)) / DAY_MS))
}

/**
 * The lookback a pipeline needs, measured: the age in days at which 99 % of all changes of published days had happened. Undefined while fewer than ten days
 * changed. What was never read again is not in it: see `lookback`.
 */
export function measuredLookback(watched: Watched): number | undefined {
  return lookbackOf(aged(watched))
}

function lookbackOf(changes: readonly Aged[]): number | undefined {
  if (changes.length < FEWEST) return undefined
  const all = sumOf(changes, ({ changed }) => changed)
  let sum = 0
  for (const { age, changed } of changes.toSorted((a, b) => a.age - b.age)) {
    sum += changed
    if (sum >= SETTLED * all) return age
  }
  return undefined
}

/** Days that changed after they were settled, or by far more than days of this pipeline do. */
export function restated(watched: Watched): Finding[] {
  const { now, pipeline } = watched
  const { leastRows, share } = pipeline.thresholds
  const isNew = ({ restatement }: Aged): boolean => restatement.at >= now - JUDGED_DAYS * DAY_MS
  const all = aged(watched)
  const before = all.filter(one => !isNew(one))
  const settled = lookbackOf(before) ?? 0
  const largest = before.length < FEWEST ? 0 : Math.max(...before.map(one => one.share))
  const found = all.filter(
    one => isNew(one) && one.changed >= leastRows && one.share >= share && (one.age > settled || one.share > 2 * largest),
  )
  if (found.length === 0) return []
  const places = found.map(({ restatement: { client, day } }) => ({ client, day }))
  const changed = sumOf(found, one => one.changed)
  const rows = sumOf(found, ({ restatement }) => Math.max(restatement.rowsBefore, restatement.rowsAfter))
  const what = `${daysText(places)}: ${numberText(changed)} of ${numberText(rows)} rows changed (${percentText(changed / rows)}), ${clientsText(clientsOf(places))}; changes come within ${settled} days otherwise`
  const finding = findingAt(watched, 'restated', { subject: '', what, places, rows: changed })
  return [{ ...finding, since: Math.min(...found.map(({ restatement }) => restatement.at)) }]
}

/** Whether changes still come at the end of the longest lookback: then there are some beyond it that nobody sees. */
export function lookback(watched: Watched): Finding[] {
  const declared = Math.max(0, ...watched.pipeline.schedule.map(({ lookbackDays }) => lookbackDays))
  const changes = aged(watched)
  const measured = lookbackOf(changes)
  if (declared === 0 || measured === undefined || measured < declared) return []
  const last = changes.filter(({ age }) => age >= declared)
  const places = last.map(({ restatement: { client, day } }) => ({ client, day }))
  const rows = sumOf(last, ({ changed }) => changed)
  const share = rows / sumOf(changes, ({ changed }) => changed)
  const what = `${percentText(share)} of all changes come ${declared} days after the day or later, which is where the lookback ends (${clientsText(clientsOf(places))})`
  return [findingAt(watched, 'lookback', { subject: '', what, places, rows })]
}
