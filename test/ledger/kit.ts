import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { Test } from 'tap'
import { type Chunk, daysOf, splitWindow, type Window } from '../../lib/chunk.ts'
import type { AttemptSummary, Claim, Ledger, Problem, Run, RunRequest } from '../../lib/ledger/ledger.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import type { DaySummary } from '../../lib/summary.ts'

/** Long enough that no lease runs out by itself. */
export const LEASE = 60_000

/** A temporary folder that is gone after the test. */
export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A clock that only the test moves. */
export interface Clock {
  now: number
}

/** A ledger in a fresh file (or in the one given), on a clock of its own. */
export function fresh(
  t: Test,
  options: { path?: string; owner?: string; clock?: Clock } = {},
): { ledger: Ledger; path: string; clock: Clock } {
  const path = options.path ?? join(folder(t), 'ledger.sqlite')
  const clock = options.clock ?? { now: 1_700_000_000_000 }
  const ledger = sqlite({ path, now: () => clock.now, ...(options.owner === undefined ? {} : { owner: options.owner }) })
  t.teardown(() => ledger.close())
  return { ledger, path, clock }
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

/** The next claim of a run; fails the test when there is none. */
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

/** Takes a claim all the way to published. */
export async function publish(ledger: Ledger, claim: Claim, more: Partial<AttemptSummary> = {}): Promise<void> {
  const summary = summaryOf(claim, more)
  await ledger.staged(claim.attemptId, summary)
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

/** Every day of a window as a window. */
export function single(of: string): Window {
  return { from: of, to: of }
}

/** Asks the file itself, beside the ledger. */
export function sql(path: string, text: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
  const database = new DatabaseSync(path)
  try {
    return database.prepare(text).all(...values)
  } finally {
    database.close()
  }
}

/** The script beside this file, run by another process that talks in lines. */
export function child(
  t: Test,
  ...args: readonly string[]
): { readonly process: ChildProcess; readonly lines: AsyncIterator<string>; readonly ended: Promise<string> } {
  const spawned = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => spawned.kill('SIGKILL'))
  const lines = createInterface({ input: spawned.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<string>(resolve => spawned.once('exit', (code, signal) => resolve(signal ?? String(code))))
  return { process: spawned, lines, ended }
}
