import { chunkText, windowText } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import type { HeadraceError, WarningName } from '../errors.ts'
import type { Observer } from '../events.ts'
import type { AttemptSummary, Claim, Restatement, Settlement } from '../ledger/ledger.ts'
import type { ChunkState } from '../ledger/states.ts'
import type { Lineage } from '../lineage/lineage.ts'
import type { Log, LogLevel } from '../log.ts'
import type { AttemptOutcome, Metrics, SourceResult, Step } from '../metrics.ts'
import { CHANGES, type Change, type Drift, driftsText } from './drift.ts'
import { type SourceTotal, sourceTotalsText } from './source-totals.ts'

/** Where an attempt is told of. */
export interface TelemetryContext {
  readonly log: Log
  readonly metrics: Metrics
  readonly observe: Observer
  /** Absent where nobody is told of lineage. */
  readonly lineage?: Lineage
}

/** What became of an attempt, as the log and its span name it; the event is `chunk.` and one of these. `docs/logs.md` lists the same; a test compares. */
export const OUTCOMES = {
  published: 'Its days were replaced.',
  unchanged: 'The table held exactly that already.',
  held: 'It waits for a person.',
  failed: 'Its tries are used up.',
  parked: 'It is tried again, not before an instant.',
  retried: 'It is tried again after a pause.',
  halved: 'Its window was too much for the API; two halves took its place.',
  abandoned:
    "It was given up: the process was told to stop, the chunk is another attempt's by now, or the ledger could not be asked.",
} as const

/** What became of an attempt. */
export type Outcome = keyof typeof OUTCOMES

/** What became of an attempt that left its chunk in a state. */
export function outcomeOf(state: ChunkState, error: HeadraceError | null, parts: readonly unknown[]): Outcome {
  if (parts.length > 0) return 'halved'
  if (error?.code === 'ABORTED' || error?.code === 'LEASE_LOST') return 'abandoned'
  if (state === 'published' || state === 'unchanged' || state === 'held' || state === 'failed' || state === 'parked') return state
  return 'retried'
}

/** At which level an outcome is told. */
const LEVELS: Readonly<Record<Outcome, Exclude<LogLevel, 'silent'>>> = {
  published: 'info',
  unchanged: 'info',
  held: 'error',
  failed: 'error',
  parked: 'error',
  retried: 'error',
  halved: 'warn',
  abandoned: 'warn',
}

/** Tells the log, the metrics and whoever watches what becomes of one attempt: of its end exactly once. */
export class Telemetry {
  readonly #claim: Claim
  readonly #compiled: CompiledPipeline
  readonly #context: TelemetryContext
  /** Milliseconds spent in each step, as far as this process took it. */
  readonly #steps: Partial<Record<Step, number>> = {}
  #ended = false

  constructor(claim: Claim, compiled: CompiledPipeline, context: TelemetryContext) {
    this.#claim = claim
    this.#compiled = compiled
    this.#context = context
  }

  /** Tells that the attempt begins. */
  started(): void {
    this.#context.lineage?.started(this.#claim)
  }

  /** Counts the time of a step, in milliseconds. */
  took(step: Step, ms: number): void {
    this.#steps[step] = (this.#steps[step] ?? 0) + ms
    this.#context.metrics.stepSeconds.inc({ pipeline: this.#compiled.pipeline.name, step }, ms / 1_000)
  }

  /** Says something a person should know. */
  warn(name: WarningName, message: string): void {
    const { log, metrics, observe } = this.#context
    metrics.warnings.inc({ name })
    log.warn({ event: 'warning', name, ...this.#logged() }, message)
    observe({ type: 'warning', name, message, chunk: this.#claim.chunk })
  }

  /** Counts and tells how the attempt ended well. */
  succeeded(state: 'published' | 'unchanged', summary: AttemptSummary, restatements: readonly Restatement[]): void {
    const { metrics } = this.#context
    const { rows } = summary
    const labels = { pipeline: this.#compiled.pipeline.name }
    const name = chunkText(this.#claim.chunk)
    metrics.chunkAttempts.inc({ ...labels, outcome: 'success' satisfies AttemptOutcome })
    metrics.rowsLoaded.inc(labels, rows.inserted)
    metrics.rowsDeleted.inc(labels, rows.deleted)
    if (summary.cost !== null) {
      metrics.warehouseJobs.inc(labels, summary.cost.jobs)
      metrics.warehouseBytesBilled.inc(labels, summary.cost.bytesBilled)
      metrics.warehouseSlotSeconds.inc(labels, summary.cost.slotMs / 1_000)
    }
    this.#context.lineage?.ended(this.#claim, { state, summary, error: null, abandoned: false })
    this.#end(state, `${name} ${state}`, summary, { restated: restatements.length })
    if (rows.staged === 0) {
      metrics.chunksEmpty.inc(labels)
      this.warn('CHUNK_EMPTY', `${name}: no rows at all`)
    }
    if (rows.rejected > 0) {
      const rules = Object.entries(summary.rejectedBy).map(([rule, count]) => `${rule} ${count}`)
      this.warn('ROWS_REJECTED', `${name}: ${rows.rejected} of ${rows.extracted} records rejected (${rules.join(', ')})`)
    }
    if (rows.deduplicated > 0) {
      this.warn('ROWS_DEDUPLICATED', `${name}: ${rows.deduplicated} of ${rows.extracted} rows came more than once`)
    }
    for (const { day, added, removed, rowsBefore, rowsAfter } of restatements) {
      const restated = chunkText({ ...this.#claim.chunk, window: { from: day, to: day } })
      metrics.rowsRestated.inc(labels, added + removed)
      this.warn('RESTATED', `${restated}: ${rowsBefore} -> ${rowsAfter} rows, ${added} new, ${removed} gone`)
    }
  }

  /** Counts and tells what is different in the records. */
  drifted(drifts: readonly Drift[]): void {
    const labels = { pipeline: this.#compiled.pipeline.name }
    for (const [change, warning] of Object.entries(CHANGES) as [Change, WarningName][]) {
      const found = drifts.filter(drift => drift.change === change)
      if (found.length === 0) continue
      this.#context.metrics.schemaChanges.inc({ ...labels, change }, found.length)
      this.warn(warning, `${chunkText(this.#claim.chunk)}: ${driftsText(found)}`)
    }
  }

  /** Counts how control totals compare with what the source states, and tells of those that stop nothing although they differ. */
  compared(totals: readonly SourceTotal[]): void {
    const { pipeline } = this.#compiled
    for (const { agrees, unreadable } of totals) {
      const result: SourceResult = agrees ? 'agreed' : unreadable === null ? 'diverged' : 'unreadable'
      this.#context.metrics.sourceTotals.inc({ pipeline: pipeline.name, result })
    }
    const differences = sourceTotalsText(totals)
    if (differences !== '' && (this.#claim.force || pipeline.checks.sourceTotals.policy === 'warn'))
      this.warn('SOURCE_DIFFERS', `${chunkText(this.#claim.chunk)}: ${differences}`)
  }

  /** Counts and tells that the attempt did not publish. */
  failed({ state, parts = [], notBefore }: Settlement, error: HeadraceError, summary: AttemptSummary): void {
    const outcome: AttemptOutcome =
      error.code === 'LEASE_LOST' || error.code === 'FENCED' ? 'lease_lost' : state === 'held' ? 'fatal_error' : 'retryable_error'
    const { metrics } = this.#context
    const labels = { pipeline: this.#compiled.pipeline.name }
    metrics.chunkAttempts.inc({ ...labels, outcome })
    const abandoned = outcome === 'lease_lost' || error.code === 'ABORTED' || parts.length > 0
    this.#context.lineage?.ended(this.#claim, { state, summary, error, abandoned })
    if (error.code === 'COUNT_DIVERGED' || error.code === 'RECONCILE_DIVERGED') metrics.divergences.inc(labels)
    this.#end(outcomeOf(state, error, parts), error.message, summary, {
      err: error,
      ...(notBefore === undefined ? {} : { notBefore: new Date(notBefore).toISOString() }),
      ...(parts.length === 0 ? {} : { parts: parts.map(windowText) }),
    })
    if (parts.length === 0) return
    const windows = parts.map(windowText).join(' and ')
    this.warn('WINDOW_HALVED', `${chunkText(this.#claim.chunk)}: read again as ${windows}: ${error.message}`)
  }

  /** Tells that nobody has written down how the attempt ended, unless its end was told before. */
  abandoned(error: HeadraceError, summary: AttemptSummary): void {
    if (this.#ended) return
    this.#context.lineage?.ended(this.#claim, { state: 'pending', summary, error, abandoned: true })
    this.#end('abandoned', error.message, summary, { err: error })
  }

  /** The one event that says everything of an attempt. */
  #end(
    outcome: Outcome,
    message: string,
    summary: AttemptSummary,
    more: { readonly err?: HeadraceError; readonly [field: string]: unknown },
  ): void {
    if (this.#ended) return
    this.#ended = true
    const { attempt, priority, force, generation } = this.#claim
    const { startedAt, finishedAt, api, rows, rejectedBy, stagedBytes, cost, groupId, schemaHash, pipelineHash, trace } = summary
    const event = {
      event: `chunk.${outcome}`,
      ...this.#logged(),
      ...(trace === undefined ? {} : { trace_id: trace.traceId, span_id: trace.spanId }),
      try: attempt,
      priority,
      force,
      generation,
      startedAt: new Date(startedAt).toISOString(),
      ms: finishedAt - startedAt,
      steps: Object.fromEntries(Object.entries(this.#steps).map(([step, ms]) => [step, Math.round(ms)])),
      api,
      rows,
      rejectedBy,
      drifts: summary.drifts.length,
      stagedBytes,
      cost,
      group: groupId,
      schemaHash,
      pipelineHash,
      ...(more.err === undefined ? {} : { code: more.err.code }),
      ...more,
    }
    this.#context.log[LEVELS[outcome]](event, message)
  }

  /** The names that every line of the log about this attempt carries. */
  #logged(): { chunk: string; pipeline: string; client: string; from: string; to: string; run: string; attempt: string } {
    const { chunk, runId, attemptId } = this.#claim
    return {
      chunk: chunkText(chunk),
      pipeline: chunk.pipeline,
      client: chunk.client,
      from: chunk.window.from,
      to: chunk.window.to,
      run: runId,
      attempt: attemptId,
    }
  }
}
