import type { Client } from '../config.ts'
import { DecimalSum } from '../decimal.ts'
import type { DriftRecord, Ledger, Restatement } from '../ledger/ledger.ts'
import type { TimeRange } from '../ledger/work.ts'
import { ageOf } from '../monitor/restatement.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Period } from './period.ts'

/** How a control total moved. Decimal text. */
export interface Moved {
  readonly column: string
  readonly before: string
  readonly after: string
}

/** Published days that changed when they were read again within the time of a report. */
export interface Restated {
  /** Days of clients, each once. */
  readonly days: number
  readonly clients: number
  /** Rows that are new or other than before, and rows that were there before and are so no more. */
  readonly added: number
  readonly removed: number
  /** Control totals of these days that are others now. */
  readonly moved: readonly Moved[]
  /** How many days after its end the oldest of them changed; null when none did. */
  readonly oldest: number | null
  /** The longest lookback of the schedules, in days; null where nothing is read again by itself. */
  readonly lookback: number | null
  /** The age in days at which 99 % of all changes of the last nine weeks had happened; null while too few days changed. */
  readonly measuredLookback: number | null
}

/** Rejected records of the published days of a report. */
export interface Rejects {
  readonly rejected: number
  /** Rules by how many records they refused: of the chunks that hold these days, so there may be more than `rejected`. Most first. */
  readonly rules: readonly { readonly rule: string; readonly rejected: number }[]
  /** Clients by how many records of theirs were refused. Most first. */
  readonly clients: readonly { readonly client: string; readonly rejected: number }[]
}

/** What changed of published days within some time. */
export async function restatedOf(
  pipeline: Pipeline,
  clients: readonly Client[],
  ledger: Ledger,
  within: TimeRange,
  measuredLookback: number | undefined,
): Promise<Restated> {
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  const all = await ledger.restatedWithin(pipeline.name, within)
  let [added, removed, oldest] = [0, 0, 0]
  for (const one of all) {
    added += one.added
    removed += one.removed
    oldest = Math.max(oldest, ageOf(one.day, one.at, zones.get(one.client) ?? 'UTC'))
  }
  const lookbacks = pipeline.schedule.map(({ lookbackDays }) => lookbackDays)
  return {
    days: new Set(all.map(({ client, day }) => JSON.stringify([client, day]))).size,
    clients: new Set(all.map(({ client }) => client)).size,
    added,
    removed,
    moved: [...new Set(all.flatMap(({ totalsAfter }) => Object.keys(totalsAfter)))].flatMap(column => movedOf(column, all)),
    oldest: all.length === 0 ? null : oldest,
    lookback: lookbacks.length === 0 ? null : Math.max(...lookbacks),
    measuredLookback: measuredLookback ?? null,
  }
}

/** What a column summed to before and after; of a day that changed twice, what it was in between is left out. */
function movedOf(column: string, all: readonly Restatement[]): Moved[] {
  const [before, after] = [new DecimalSum(), new DecimalSum()]
  const [first, last] = [new Map<string, string>(), new Map<string, string>()]
  for (const { client, day, totalsBefore, totalsAfter } of all) {
    const key = JSON.stringify([client, day])
    if (!first.has(key)) first.set(key, totalsBefore[column] ?? '0')
    last.set(key, totalsAfter[column] ?? '0')
  }
  for (const value of first.values()) before.add(value)
  for (const value of last.values()) after.add(value)
  const [was, is] = [String(before), String(after)]
  return was === is ? [] : [{ column, before: was, after: is }]
}

/** What was rejected of the published days of a report. */
export async function rejectsOf({ name }: Pipeline, ledger: Ledger, { window }: Period): Promise<Rejects> {
  const rules = new Map<string, number>()
  const clients = new Map<string, number>()
  const count = (counts: Map<string, number>, key: string, more: number) => counts.set(key, (counts.get(key) ?? 0) + more)
  const days = await ledger.rejectedDays(name, window)
  for (const { client, rejected } of days) count(clients, client, rejected)
  for (const chunk of days.length === 0 ? [] : await ledger.rejectedBy(name, window))
    for (const [rule, rejected] of Object.entries(chunk.rules)) count(rules, rule, rejected)
  return {
    rejected: days.reduce((sum, { rejected }) => sum + rejected, 0),
    rules: mostFirst(rules).map(([rule, rejected]) => ({ rule, rejected })),
    clients: mostFirst(clients).map(([client, rejected]) => ({ client, rejected })),
  }
}

function mostFirst(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].sort(([, a], [, b]) => b - a)
}

/** Drifts that are looked at, at most. */
const MOST_DRIFTS = 10_000

/** How records changed that were read within some time: what was seen first then, those seen last first. */
export async function driftsOf({ name }: Pipeline, ledger: Ledger, { from, until }: TimeRange): Promise<DriftRecord[]> {
  return (await ledger.drifts(name, MOST_DRIFTS)).filter(({ first }) => first.at >= from && first.at < until)
}
