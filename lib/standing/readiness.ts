import { addDays, type Day } from '../chunk.ts'
import type { Client } from '../config.ts'
import type { ErrorCode } from '../errors.ts'
import type { ChunkRecord } from '../ledger/ledger.ts'
import type { ExtentUpTo, LedgerOverview } from '../ledger/overview.ts'
import type { LedgerReader } from '../ledger/reader.ts'
import type { Pipeline } from '../pipeline.ts'
import { gaps } from '../plan/plan.ts'
import { nextOccasion } from '../plan/schedule.ts'
import { type Standing, standingsOf } from './standing.ts'

/** What somebody wants to rely on. */
export interface ReadinessQuestion {
  /** The last day that is needed. */
  readonly through: Day
  /** Whose rows; default those of every client of the configuration. */
  readonly client?: string
}

/** Whether a table can be relied on through a day. Instants are text, `2026-11-22T05:12:44.000Z`. */
export interface Readiness {
  /** Name of the table. */
  readonly dataset: string
  readonly through: Day
  /** The client that was asked about; null for all. */
  readonly client: string | null
  /** Complete and validated. */
  readonly ready: boolean
  /**
   * Of every client, each day from the first that was ever asked for through the one in question is published. Clients whose first day is later do
   * not count; where that is so of all, nothing is complete.
   */
  readonly complete: boolean
  /** None of these days is held. */
  readonly validated: boolean
  /** No schedule reads any of these days again, and nothing is under way for them. */
  readonly final: boolean
  /** The last day through which each of these clients is complete; null when one is through none. */
  readonly completeThrough: Day | null
  readonly finalThrough: Day | null
  readonly coverage: {
    readonly clients: { readonly required: number; readonly complete: number }
    /** Days of clients that are published, and how many of these had a commit that was interrupted. */
    readonly days: { readonly published: number; readonly doubtful: number }
    /** Some of what is not published; `from` is null where no day was ever asked for. */
    readonly missing: readonly { readonly client: string; readonly from: Day | null; readonly to: Day }[]
  }
  /** Some of what is held. */
  readonly held: readonly { readonly client: string; readonly from: Day; readonly to: Day; readonly code: ErrorCode | null }[]
  /** When the next schedule of the pipeline says that something is due; null where there is none. */
  readonly nextExpectedAt: string | null
  /** Of the table as it is declared. */
  readonly schemaHash: string
  /** The newest publication among these days, and the run that made it; null when there is none. */
  readonly publishedAt: string | null
  readonly runId: string | null
}

/** What an answer rests on besides the ledger. */
export interface Declared {
  readonly pipeline: Pipeline
  readonly schemaHash: string
  /** The clients of the configuration. */
  readonly clients: readonly Client[]
}

/** Stretches of missing days, and held chunks, that an answer names. */
const NAMED = 20

/**
 * Whether a table can be relied on through a day, by what the ledger holds now: a day counts from the transaction on that records its publication. One
 * whose last commit was interrupted counts too, because the table holds what was published or what was about to be, each as a whole and each checked.
 */
export async function readiness(
  { pipeline, schemaHash, clients }: Declared,
  { through, client }: ReadinessQuestion,
  ledger: LedgerReader & LedgerOverview,
  now: number,
): Promise<Readiness> {
  const { name, table, schedule } = pipeline
  const asked = client === undefined ? clients : clients.filter(({ id }) => id === client)
  const { standings: all, problems } = await standingsOf(pipeline, asked, { through, client }, ledger)
  // Nothing is wanted of a client through a day that is before its first.
  const standings = all.filter(({ first }) => first === null || first <= through)
  const lacking = standings.filter(({ completeThrough }) => !reaches(completeThrough, through))
  const complete = standings.length > 0 && lacking.length === 0
  const held = asked.flatMap(({ id }) => (problems.get(id) ?? []).filter(one => isHeld(one, through)))
  const newest = standings.reduce<ExtentUpTo | undefined>(
    (a, { extent: b }) => (publishedAt(b) > publishedAt(a) ? b : a),
    undefined,
  )
  const sum = (of: 'days' | 'doubtful'): number => standings.reduce((all, { extent }) => all + (extent?.upTo[of] ?? 0), 0)
  const zones = new Set(asked.map(({ timeZone }) => timeZone))
  const next = schedule.flatMap(one => [...zones].map(zone => nextOccasion(one, zone, now)))
  return {
    dataset: table.name,
    through,
    client: client ?? null,
    ready: complete && held.length === 0,
    complete,
    validated: held.length === 0,
    final: complete && standings.every(({ finalThrough: day }) => reaches(day, through)),
    completeThrough: weakest(standings.map(({ completeThrough }) => completeThrough)),
    finalThrough: weakest(standings.map(({ finalThrough: day }) => day)),
    coverage: {
      clients: { required: standings.length, complete: standings.length - lacking.length },
      days: { published: sum('days'), doubtful: sum('doubtful') },
      missing: (await Array.fromAsync(lacking.slice(0, NAMED), one => missingOf(one, through, name, ledger)))
        .flat()
        .slice(0, NAMED),
    },
    held: held
      .slice(0, NAMED)
      .map(({ chunk, problem }) => ({ client: chunk.client, ...chunk.window, code: problem?.code ?? null })),
    nextExpectedAt: next.length === 0 ? null : instant(Math.min(...next)),
    schemaHash,
    publishedAt: publishedAt(newest) === 0 ? null : instant(publishedAt(newest)),
    runId: newest === undefined ? null : await ledger.publishedBy(name, newest.client, through),
  }
}

/** What is not published of a client up to a day. */
async function missingOf(
  { client, first, extent }: Standing,
  through: Day,
  pipeline: string,
  ledger: LedgerOverview,
): Promise<Readiness['coverage']['missing'][number][]> {
  if (first === null) return [{ client, from: null, to: through }]
  const published = extent === undefined ? [] : (await ledger.publishedDays(pipeline, client)).get(client)
  // What lies behind the last published day is one stretch, however far away the day is that was asked about.
  const last = published?.findLast(day => day <= through) ?? addDays(first, -1)
  const within = gaps({ from: first, to: last }, new Set(published))
  const behind = last < through ? [{ from: addDays(last, 1), to: through }] : []
  return [...within, ...behind].map(window => ({ client, ...window }))
}

function isHeld({ state, chunk }: ChunkRecord, through: Day): boolean {
  return state === 'held' && chunk.window.from <= through
}

function reaches(day: Day | null, through: Day): boolean {
  return day !== null && day >= through
}

/** The day through which all of them reach. */
function weakest(days: readonly (Day | null)[]): Day | null {
  return days.reduce((a, b) => (a === null || b === null ? null : a < b ? a : b), days[0] ?? null)
}

function publishedAt(extent: ExtentUpTo | undefined): number {
  return extent?.upTo.publishedAt ?? 0
}

function instant(ms: number): string {
  return new Date(ms).toISOString()
}
