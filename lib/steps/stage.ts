import { rowHash } from '../attempt/fingerprint.ts'
import type { ChunkSummary } from '../attempt/summary.ts'
import type { Window } from '../chunk.ts'
import { type Batch, jsonText, type Reject } from '../row.ts'
import type { StagedReject, Staging } from '../warehouse/warehouse.ts'

/** Where batches go, and what is remembered of the rejects among them. */
export interface StageTarget {
  readonly window: Window
  readonly staging: Staging
  readonly summary: ChunkSummary
}

/** How many records a batch put where; over all batches of a chunk the three must be what was extracted. */
export interface Staged {
  readonly staged: number
  readonly rejected: number
  readonly deduplicated: number
  /** Rejects by rule. */
  readonly rules: ReadonlyMap<string, number>
}

/** Writes one batch to staging: rows or rejects. */
export async function stageBatch(batch: Batch, target: StageTarget): Promise<Staged> {
  if ('bytes' in batch) {
    await target.staging.write(batch.bytes, batch.rows, batch.day)
    return { staged: batch.rows, rejected: 0, deduplicated: 0, rules: new Map() }
  }
  const { rejects, deduplicated } = batch
  if (rejects.length > 0) await target.staging.reject(rejects.map(reject => stagedReject(reject, target)))
  const rules = new Map<string, number>()
  for (const { rule } of rejects) rules.set(rule, (rules.get(rule) ?? 0) + 1)
  return { staged: 0, rejected: rejects.length, deduplicated, rules }
}

/** A reject as it is kept. It counts for a day of the window, whatever its own was, so that reading the chunk again replaces it. */
function stagedReject(reject: Reject, { window, summary }: StageTarget): StagedReject {
  const staged: StagedReject = {
    day: reject.day !== null && reject.day >= window.from && reject.day <= window.to ? reject.day : window.from,
    column: reject.column,
    rule: reject.rule,
    value: reject.value,
    reason: reject.reason,
    record: jsonText(reject.record ?? null),
  }
  const bytes = Buffer.from(JSON.stringify(staged))
  const open = summary.day(staged.day)
  rowHash.over(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength)
  open.fingerprint.add(rowHash.a, rowHash.b)
  open.rejected++
  return staged
}
