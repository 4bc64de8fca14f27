import { randomUUID } from 'node:crypto'
import { ChunkSummary } from '../attempt/summary.ts'
import { Bytes } from '../bytes.ts'
import { daysOf } from '../chunk.ts'
import type { AnyRow, Reject } from '../row.ts'
import { batch } from '../steps/batch.ts'
import { type EncodeTarget, encodePage } from '../steps/encode.ts'
import { type StageTarget, stageBatch } from '../steps/stage.ts'
import type { Table } from '../table.ts'
import type { Member, Publication, Sealed, Warehouse, WarehouseCall } from '../warehouse/warehouse.ts'

/** What a member is made of. */
export interface Draft {
  readonly client: string
  readonly from: string
  readonly to?: string
  readonly rows?: readonly AnyRow[]
  readonly rejects?: readonly Reject[]
  readonly totals?: readonly string[]
  readonly generation?: number
  readonly intent?: Member['intent']
  readonly restated?: readonly string[]
  readonly checkKey?: boolean
}

let newest = 0

/** A generation above all that were given out before. */
export function nextGeneration(): number {
  newest = Math.max(newest + 1, Date.now())
  return newest
}

/** A draft that is written to staging and may be sealed, sifted and sealed again. */
export interface OpenDraft {
  readonly target: EncodeTarget & StageTarget
  seal(): Promise<Sealed>
  /** The member that asks to publish what is staged now. */
  member(): Member
}

/** Writes the rows of a draft the way a chunk does. */
export async function openDraft(warehouse: Warehouse, table: Table, draft: Draft): Promise<OpenDraft> {
  const { client, from, to = from, rows = [], rejects = [], totals = [] } = draft
  const attemptId = randomUUID()
  const window = { from, to }
  const summary = new ChunkSummary(table, totals)
  const staging = await warehouse.stage(table, attemptId)
  const target = { window, table, staging, encodeRow: warehouse.encoder(table), summary, keys: undefined, scratch: new Bytes() }
  async function* pages() {
    yield encodePage({ records: [], rows: [], rejects }, target)
    for (let at = 0; at < rows.length; at += 1_000) {
      const page = rows.slice(at, at + 1_000)
      yield encodePage({ records: page, rows: page, rejects: [] }, target)
    }
  }
  for await (const next of batch(pages())) await stageBatch(next, target)
  const generation = draft.generation ?? nextGeneration()
  let receipt = ''
  return {
    target,
    seal: async () => {
      const sealed = await staging.seal()
      receipt = sealed.receipt
      return sealed
    },
    member: () => ({
      chunk: { pipeline: 'conformance', client, window },
      attemptId,
      receipt,
      generation,
      intent: draft.intent ?? 'publish',
      days: summary.days(daysOf(window)),
      restated: draft.restated ?? [],
      checkKey: draft.checkKey ?? false,
    }),
  }
}

/** Stages rows the way a chunk does, and returns the member that asks to publish them. */
export async function stageDraft(warehouse: Warehouse, table: Table, draft: Draft): Promise<Member> {
  const { seal, member } = await openDraft(warehouse, table, draft)
  await seal()
  return member()
}

/** A call that nobody interrupts. */
export const undisturbed: WarehouseCall = { signal: new AbortController().signal, warn: () => {} }

/** Stages drafts and commits them as one group. */
export async function publishDrafts(
  warehouse: Warehouse,
  table: Table,
  totals: readonly string[],
  drafts: readonly Draft[],
): Promise<Publication[]> {
  const members = await Promise.all(drafts.map(draft => stageDraft(warehouse, table, { totals, ...draft })))
  return warehouse.commit(table, totals, members, undisturbed)
}
