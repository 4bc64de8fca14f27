import { hostname } from 'node:os'
import type { DaySummary } from '../attempt/summary.ts'
import { type Chunk, daysOf, splitWindow } from '../chunk.ts'
import type { AttemptSummary, Claim, Ledger, Problem, Run, RunRequest } from '../ledger/ledger.ts'

/** Long enough that no lease runs out by itself. */
export const LEASE = 60_000

/** A process of this host that is not there any more. */
export const GONE = `${hostname()} 999999999 1`

/** A clock that only the case moves. */
export interface Clock {
  now: number
}

/** A ledger that nobody else uses, and a way to look into it that does not go through it. */
export interface LedgerHost {
  readonly ledger: Ledger
  /** The clock of everybody who uses it. */
  readonly clock: Clock
  /** The same ledger, as the process of another owner sees it. */
  another(owner: string): Ledger
  /** Asks the database itself, `?` standing for the next value; what it answers is text, or null. */
  sql(text: string, ...values: readonly (string | number)[]): Promise<Readonly<Record<string, string | null>>[]>
  close(): Promise<void>
}

/** One thing that every ledger must do. */
export interface LedgerCase {
  readonly title: string
  /** Throws an assertion error when the ledger does not. `open` makes an empty ledger whose clock shows `now`. */
  run(open: (now?: number) => Promise<LedgerHost>): Promise<void>
}

/** A case on one empty ledger. */
export function ledgerCase(title: string, check: (host: LedgerHost) => Promise<void>): LedgerCase {
  return {
    title,
    run: async open => {
      const host = await open()
      try {
        await check(host)
      } finally {
        await host.close()
      }
    },
  }
}

/** What a run of the pipeline `p` is asked for. */
export function request(more: Partial<RunRequest> = {}): RunRequest {
  const window = { from: '2026-01-01', to: '2026-01-03' }
  return {
    command: 'backfill',
    pipeline: 'p',
    api: 'an-api',
    window,
    clients: ['a'],
    force: false,
    missing: false,
    schemaHash: 's',
    pipelineHash: 'm',
    ...more,
  }
}

/** The chunks of a request, `size` days each. */
export function chunksOf({ pipeline, clients, window }: RunRequest, size = 1): Chunk[] {
  return clients.flatMap(client => splitWindow(window, size).map(part => ({ pipeline, client, window: part })))
}

/** Begins a run of one day per chunk. */
export function begin(ledger: Ledger, more: Partial<RunRequest> = {}, size = 1): Promise<Run> {
  const wanted = request(more)
  return ledger.beginRun(wanted, chunksOf(wanted, size))
}

/** The next claim of a run; fails the case when there is none. */
export async function claimOf(ledger: Ledger, run: Run, leaseMs = LEASE): Promise<Claim> {
  const claim = await ledger.claim(run.id, leaseMs)
  if (claim === undefined || 'waitMs' in claim) throw new Error(`no claim, but ${JSON.stringify(claim)}`)
  return claim
}

/** What is remembered of a day. */
export function day(of: string, rows = 1, more: Partial<DaySummary> = {}): DaySummary {
  return { day: of, rows, rejected: 0, fingerprint: `f${rows}`, totals: { cost: `${rows}.5` }, ...more }
}

/** The summary of an attempt that staged one row per day. */
export function summaryOf({ chunk, runId, attempt, attemptId }: Claim, more: Partial<AttemptSummary> = {}): AttemptSummary {
  const days = more.days ?? daysOf(chunk.window).map(of => day(of))
  const staged = days.reduce((sum, { rows }) => sum + rows, 0)
  return {
    runId,
    pipeline: chunk.pipeline,
    client: chunk.client,
    ...chunk.window,
    attempt,
    attemptId,
    groupId: null,
    headrace: 'test',
    schemaHash: '',
    pipelineHash: '',
    startedAt: 0,
    finishedAt: 1_700_000_000_000,
    api: { requests: 1, retries: 0, waitedMs: 0, bytes: 1, pages: 1 },
    quotas: {},
    rows: {
      extracted: staged,
      staged,
      rejected: 0,
      deduplicated: 0,
      deleted: 0,
      inserted: staged,
      present: staged,
      previous: null,
    },
    rejectedBy: {},
    cost: null,
    stagedBytes: 1,
    days,
    columns: {},
    fields: [],
    reads: [],
    drifts: [],
    ...more,
  }
}

/** Stages a claim. */
export function stage(ledger: Ledger, claim: Claim, summary = summaryOf(claim)): Promise<void> {
  const { chunk, attemptId, generation } = claim
  const { days } = summary
  const member = { chunk, attemptId, generation, receipt: attemptId, days, restated: [], checkKey: false } as const
  return ledger.staged(attemptId, summary, { ...member, intent: 'publish' })
}

/** Takes a claim all the way to published. */
export async function publish(ledger: Ledger, claim: Claim, more: Partial<AttemptSummary> = {}): Promise<void> {
  const summary = summaryOf(claim, more)
  await stage(ledger, claim, summary)
  await ledger.committing([claim.attemptId])
  await ledger.published(claim.attemptId, summary, [])
}

/** Publishes every chunk of a run that can be claimed. */
export async function publishAll(ledger: Ledger, run: Run): Promise<number> {
  for (let count = 0; ; count++) {
    const claim = await ledger.claim(run.id, LEASE)
    if (claim === undefined || 'waitMs' in claim) return count
    await publish(ledger, claim)
  }
}

/** A reason to stop. */
export const PROBLEM: Problem = { code: 'API_REFUSED', message: 'no', hint: 'ask' }
