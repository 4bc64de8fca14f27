import { chunkText, windowText } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import type { HeadraceError, WarningName } from '../errors.ts'
import type { Observer } from '../events.ts'
import type { AttemptSummary, Claim, Restatement, Settlement } from '../ledger/ledger.ts'
import type { Lineage } from '../lineage/lineage.ts'
import type { Log } from '../log.ts'
import type { AttemptOutcome, Metrics, SourceResult } from '../metrics.ts'
import { CHANGES, type Change, type Drift, driftsText } from './drift.ts'
import { type SourceTotal, sourceTotalsText } from './source-totals.ts'

/** Where an attempt is told of. */
export interface ReportContext {
  readonly log: Log
  readonly metrics: Metrics
  readonly observe: Observer
  /** Absent where nobody is told of lineage. */
  readonly lineage?: Lineage
}

/** Tells the log, the metrics and whoever watches what becomes of one attempt. */
export class Report {
  readonly #claim: Claim
  readonly #compiled: CompiledPipeline
  readonly #context: ReportContext

  constructor(claim: Claim, compiled: CompiledPipeline, context: ReportContext) {
    this.#claim = claim
    this.#compiled = compiled
    this.#context = context
  }

  /** Tells that the attempt begins. */
  started(): void {
    this.#context.lineage?.started(this.#claim)
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
    const { metrics, log } = this.#context
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
    log.info({ event: `chunk.${state}`, ...this.#logged(), rows, group: summary.groupId }, `${name} ${state}`)
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
  failed({ state, parts }: Settlement, error: HeadraceError, summary: AttemptSummary): void {
    const outcome: AttemptOutcome =
      error.code === 'LEASE_LOST' || error.code === 'FENCED' ? 'lease_lost' : state === 'held' ? 'fatal_error' : 'retryable_error'
    const { metrics, log } = this.#context
    const labels = { pipeline: this.#compiled.pipeline.name }
    metrics.chunkAttempts.inc({ ...labels, outcome })
    const abandoned = outcome === 'lease_lost' || error.code === 'ABORTED' || parts !== undefined
    this.#context.lineage?.ended(this.#claim, { state, summary, error, abandoned })
    if (error.code === 'COUNT_DIVERGED' || error.code === 'RECONCILE_DIVERGED') metrics.divergences.inc(labels)
    if (parts === undefined) {
      log.error({ event: `chunk.${state === 'pending' ? 'retried' : state}`, ...this.#logged(), err: error }, error.message)
    } else {
      const windows = parts.map(windowText).join(' and ')
      this.warn('WINDOW_HALVED', `${chunkText(this.#claim.chunk)}: read again as ${windows}: ${error.message}`)
    }
  }

  /** The names that every line of the log about this attempt carries. */
  #logged(): { pipeline: string; client: string; from: string; to: string; run: string; attempt: string } {
    const { chunk, runId, attemptId } = this.#claim
    return {
      pipeline: chunk.pipeline,
      client: chunk.client,
      from: chunk.window.from,
      to: chunk.window.to,
      run: runId,
      attempt: attemptId,
    }
  }
}
