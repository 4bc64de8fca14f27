import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { daysOf, type Window } from '../lib/chunk.ts'
import type { AttemptSummary, Ledger, PublishedDay } from '../lib/ledger/ledger.ts'
import { sqlite } from '../lib/ledger/sqlite.ts'
import type { Member } from '../lib/warehouse/warehouse.ts'

/** A ledger in a folder that is gone after the test, on the clock of the test or the real one. */
export function ledgerOf(t: Test, now: () => number = Date.now): Ledger {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-ledger-'))
  const ledger = sqlite({ path: join(folder, 'ledger.sqlite'), now })
  t.teardown(async () => {
    await ledger.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return ledger
}

/** What an attempt took. */
export interface Taken {
  readonly requests: number
  readonly startedAt: number
  readonly finishedAt: number
}

/** Publishes the days of a window, one row each; when a commit is left open, its days are in doubt. */
export async function publish(
  ledger: Ledger,
  pipeline: string,
  client: string,
  window: Window,
  rows = 1,
  { requests, ...times }: Taken = { requests: 1, startedAt: 1, finishedAt: 2 },
): Promise<void> {
  const attemptId = await claimed(ledger, pipeline, client, window)
  const plain = summaryOf(pipeline, client, window, attemptId, rows)
  const summary = { ...plain, ...times, api: { ...plain.api, requests } }
  await ledger.staged(attemptId, summary, memberOf(summary))
  await ledger.committing([attemptId])
  await ledger.published(attemptId, summary, [])
}

/** Begins a commit of a window and leaves it. */
export async function leaveOpen(ledger: Ledger, pipeline: string, client: string, window: Window): Promise<void> {
  const attemptId = await claimed(ledger, pipeline, client, window)
  const summary = summaryOf(pipeline, client, window, attemptId, 1)
  await ledger.staged(attemptId, summary, memberOf(summary))
  await ledger.committing([attemptId])
}

function memberOf({ pipeline, client, from, to, attemptId, days }: AttemptSummary): Member {
  const chunk = { pipeline, client, window: { from, to } }
  return { chunk, attemptId, generation: 1, receipt: '', intent: 'publish', days, restated: [], checkKey: false }
}

async function claimed(ledger: Ledger, pipeline: string, client: string, window: Window): Promise<string> {
  const asked = { window, clients: [client], force: false, missing: false, schemaHash: '', pipelineHash: '' }
  const request = { command: 'backfill', pipeline, api: 'api', ...asked } as const
  const { id } = await ledger.beginRun(request, [{ pipeline, client, window }])
  const claim = await ledger.claim(id, 60_000)
  if (claim === undefined || !('attemptId' in claim)) throw new Error(`${client} ${window.from} could not be claimed`)
  return claim.attemptId
}

function summaryOf(pipeline: string, client: string, window: Window, attemptId: string, rows: number): AttemptSummary {
  return {
    runId: '',
    pipeline,
    client,
    ...window,
    attempt: 1,
    attemptId,
    groupId: 'group',
    headrace: '0',
    schemaHash: '',
    pipelineHash: '',
    startedAt: 1,
    finishedAt: 2,
    api: { requests: 1, retries: 0, waitedMs: 0, bytes: 0, pages: 1 },
    quotas: {},
    rows: {
      extracted: rows,
      staged: rows,
      rejected: 0,
      deduplicated: 0,
      deleted: 0,
      inserted: rows,
      present: rows,
      previous: null,
    },
    rejectedBy: {},
    cost: null,
    stagedBytes: 0,
    days: daysOf(window).map(day => ({ day, rows, rejected: 0, fingerprint: '0000000000000000', totals: {} })),
    columns: {},
    fields: [],
    reads: [],
    drifts: [],
  }
}

/** A published day as the ledger gives it. */
export function publishedDay(day: string, more: Partial<PublishedDay> = {}): PublishedDay {
  return {
    client: 'a',
    attemptId: 'x',
    publishedAt: 1,
    readAt: more.publishedAt ?? 1,
    doubtful: false,
    day,
    rows: 1,
    rejected: 0,
    fingerprint: '00000000000000ff',
    totals: {},
    ...more,
  }
}
