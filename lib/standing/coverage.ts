import { addDays, type Day, type Window } from '../chunk.ts'
import type { Ledger, PublishedDay } from '../ledger/ledger.ts'
import { gaps } from '../plan/plan.ts'

/** What is published of one client. */
export interface Coverage {
  readonly client: string
  readonly first: Day | null
  readonly last: Day | null
  /** The last day up to which, from the first one on, every day is published. */
  readonly completeThrough: Day | null
  /** Days between first and last that are not published, or whose publication is in doubt. */
  readonly gaps: readonly Window[]
  readonly days: number
  readonly rows: number
  /** Published days without a row. */
  readonly emptyDays: number
  /** Epoch milliseconds. */
  readonly publishedAt: number | null
}

/** What is published of each client of a pipeline: those asked for, or all the ledger knows. */
export async function* coverage(ledger: Ledger, pipeline: string, clients?: readonly string[]): AsyncGenerator<Coverage> {
  for (const client of clients ?? (await ledger.clients(pipeline))) {
    yield coverageOf(client, await ledger.allDays(pipeline, client))
  }
}

/** Coverage from the published days of a client, oldest first. */
export function coverageOf(client: string, days: readonly PublishedDay[]): Coverage {
  const certain = days.filter(({ doubtful }) => !doubtful)
  const first = certain[0]?.day ?? null
  const last = certain.at(-1)?.day ?? null
  const missing = first === null || last === null ? [] : gaps({ from: first, to: last }, new Set(certain.map(({ day }) => day)))
  const firstGap = missing[0]
  return {
    client,
    first,
    last,
    completeThrough: firstGap === undefined ? last : addDays(firstGap.from, -1),
    gaps: missing,
    days: certain.length,
    rows: certain.reduce((sum, { rows }) => sum + rows, 0),
    emptyDays: certain.filter(({ rows }) => rows === 0).length,
    publishedAt: certain.length === 0 ? null : Math.max(...certain.map(({ publishedAt }) => publishedAt)),
  }
}
