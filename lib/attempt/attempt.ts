import { Bytes } from '../bytes.ts'
import { type Chunk, chunkText, daysOf } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import type { PageRequest } from '../connector.ts'
import { DataError, type HeadraceError } from '../errors.ts'
import type { Http } from '../http/client.ts'
import type { AttemptSummary, Claim, Ledger, PublishedDay, Settlement } from '../ledger/ledger.ts'
import type { Recorded } from '../ledger/publishing.ts'
import type { Step } from '../metrics.ts'
import type { Reject } from '../row.ts'
import type { Committer } from '../steps/commit.ts'
import type { EncodeTarget } from '../steps/encode.ts'
import type { Staged, StageTarget } from '../steps/stage.ts'
import { inSpan, type OpenSpan, type SpanAttributes } from '../trace.ts'
import { VERSION } from '../version.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { type ApiContext, openHttp } from './api.ts'
import { type Drift, driftsOf } from './drift.ts'
import { KeyTable } from './fingerprint.ts'
import { previousRows } from './guards.ts'
import { Quotas } from './quotas.ts'
import { settlementOf } from './settlement.ts'
import type { Shape } from './shape.ts'
import type { SourceTotal } from './source-totals.ts'
import type { DaySummary } from './summary.ts'
import { Tally } from './tally.ts'
import { Telemetry, type TelemetryContext } from './telemetry.ts'

/** Places where a process may die; tests make it die there. */
export type FaultPoint = 'claimed' | 'page' | 'batch' | 'staged' | 'committing' | 'committed' | 'recorded'

/** What every attempt of a run shares. */
export interface RunContext extends TelemetryContext, ApiContext {
  readonly ledger: Ledger
  readonly warehouse: Warehouse
  readonly committer: Committer<Recorded>
  /** Whether a chunk whose tries are used up is tried again for some hours. */
  readonly persistent: boolean
  /** Runs the reading of a chunk in one of the slots for it. */
  reading<T>(work: () => Promise<T>): Promise<T>
  readonly fault?: (point: FaultPoint, claim: Claim) => void | Promise<void>
}

/** A chunk that is read, checked and staged, by its counts. */
export interface StagedAttempt {
  readonly chunk: Chunk
  readonly rows: { readonly extracted: number; readonly staged: number; readonly rejected: number; readonly deduplicated: number }
  readonly days: readonly DaySummary[]
  /** What is different in its records. */
  readonly drifts: readonly Drift[]
  /** What the source states that it adds up to. */
  readonly sourceTotals: readonly SourceTotal[]
  /** Whether the warehouse must check the key. */
  readonly checkKey: boolean
  /** How the warehouse finds what is staged. */
  readonly receipt: string
  /** What the ledger keeps. */
  readonly summary: AttemptSummary
  /** Where it is staged. */
  readonly target: AttemptTarget
}

/** Where the pages of an attempt go. */
export type AttemptTarget = EncodeTarget & StageTarget

/**
 * The bookkeeping of one attempt: what it counts, times, warns of and finally remembers. The steps know nothing of it; `runChunk` asks it
 * for everything that is not the path of the data.
 */
export class Attempt {
  readonly claim: Claim
  readonly chunk: Chunk
  readonly compiled: CompiledPipeline
  readonly context: RunContext
  readonly signal: AbortSignal
  readonly telemetry: Telemetry
  /** What was published of its days before; known from the ledger before anything is read. */
  published: readonly PublishedDay[] = []
  readonly #span: OpenSpan<'headrace.attempt'>
  readonly #http: Http
  readonly #quotas = new Quotas()
  readonly #startedAt: number
  readonly #over = new AbortController()
  #tally: Tally

  constructor(
    claim: Claim,
    compiled: CompiledPipeline,
    context: RunContext,
    span: OpenSpan<'headrace.attempt'>,
    signal: AbortSignal,
  ) {
    this.claim = claim
    this.chunk = claim.chunk
    this.compiled = compiled
    this.context = context
    this.signal = AbortSignal.any([signal, this.#over.signal])
    this.#span = span
    this.telemetry = new Telemetry(claim, compiled, context)
    this.#startedAt = context.now()
    this.#tally = new Tally(compiled, claim.chunk)
    this.#http = openHttp(claim, compiled.pipeline.source, { ...context, pace: this.#quotas.heard(context.pace) }, this.signal)
  }

  /** Forgets what was counted, to read the chunk once more. */
  again(): this {
    this.#tally = new Tally(this.compiled, this.chunk)
    return this
  }

  /** How much is read so far, as a span tells it. */
  get read(): SpanAttributes<'headrace.read'> {
    return { 'headrace.pages': this.#tally.pages, 'headrace.rows.extracted': this.#tally.extracted }
  }

  /** What the records look like, as far as they are read. */
  get shape(): Shape {
    return this.#tally.shape
  }

  /** The pages of the connector, counted as they arrive. */
  async *pages(): AsyncGenerator<readonly unknown[]> {
    const { metrics, observe, fault } = this.context
    const { pipeline } = this.compiled
    const labels = { pipeline: pipeline.name }
    const authorize = this.context.authorize(this.chunk.client)
    const request: PageRequest = {
      client: this.chunk.client,
      window: this.chunk.window,
      signal: this.signal,
      http: this.#http,
      ...(authorize === undefined ? {} : { authorize }),
      sleep: ms => this.context.sleep(ms, this.signal),
      now: this.context.now,
      warn: (name, message) => this.telemetry.warn(name, message),
      totals: stated => this.#tally.source.state(stated),
    }
    let asked = performance.now()
    for await (const page of pipeline.source.pages(request)) {
      if (!Array.isArray(page)) {
        throw new DataError('PAGE_MALFORMED', {
          message: `${chunkText(this.chunk)}: connector ${pipeline.source.name} gave ${typeof page} for a page, not an array`,
          hint: 'Nothing of this chunk was published. This is a defect of the connector.',
        })
      }
      this.telemetry.took('extract', performance.now() - asked)
      metrics.pages.inc(labels)
      metrics.rowsExtracted.inc(labels, page.length)
      this.#tally.pages++
      this.#tally.extracted += page.length
      this.shape.observe(page)
      observe({ type: 'page', records: page.length })
      await fault?.('page', this.claim)
      yield page
      asked = performance.now()
    }
  }

  /** Opens the staging area, and what is remembered of the rows that go there. */
  async openStaging(): Promise<AttemptTarget> {
    const { warehouse, options } = this.context
    const { pipeline, encodeRow } = this.compiled
    return {
      window: this.chunk.window,
      table: pipeline.table,
      staging: await warehouse.stage(pipeline.table, this.claim.attemptId),
      encodeRow,
      summary: this.#tally.summary,
      keys: pipeline.table.key.length === 0 ? undefined : new KeyTable(options.keysPerChunk),
      scratch: new Bytes(),
    }
  }

  /** Counts what a batch put where. Rows that the warehouse refuses count as staged no more; the metric cannot take them back. */
  staged({ staged, rejected, deduplicated, rules }: Staged): void {
    const { metrics } = this.context
    const labels = { pipeline: this.compiled.pipeline.name }
    this.#tally.stagedRows += staged
    this.#tally.rejected += rejected
    this.#tally.deduplicated += deduplicated
    if (staged > 0) metrics.rowsStaged.inc(labels, staged)
    if (deduplicated > 0) metrics.rowsDeduplicated.inc(labels, deduplicated)
    for (const [reason, count] of rules) {
      this.#tally.rejectedBy.set(reason, (this.#tally.rejectedBy.get(reason) ?? 0) + count)
      metrics.rowsRejected.inc({ ...labels, reason }, count)
    }
  }

  /** Learns from records that did not become rows. */
  refused(rejects: readonly Reject[]): void {
    this.shape.refused(rejects)
    this.#tally.source.refused(rejects)
  }

  /** Closes the staging area; the chunk is complete. */
  async seal(target: AttemptTarget): Promise<StagedAttempt> {
    target.scratch.release()
    const { bytes, receipt } = await inSpan('headrace.stage', { 'headrace.rows.staged': this.#tally.stagedRows }, async span => {
      const sealed = await target.staging.seal()
      span.set({ 'headrace.bytes.staged': sealed.bytes })
      return sealed
    })
    this.context.metrics.bytesStaged.inc({ pipeline: this.compiled.pipeline.name }, Math.max(0, bytes - this.#tally.bytes))
    this.#tally.bytes = bytes
    const known = await this.context.ledger.knownShape(this.chunk.pipeline, this.chunk.client)
    this.#tally.drifts = driftsOf(this.shape, known)
    const days = this.#tally.summary.days(daysOf(this.chunk.window))
    const { extracted, stagedRows, rejected, deduplicated, drifts, source } = this.#tally
    const sourceTotals = source.compare(extracted, days, this.compiled.pipeline.checks.sourceTotals.atMost)
    this.#tally.sourceTotals = sourceTotals
    return {
      chunk: this.chunk,
      rows: { extracted, staged: stagedRows, rejected, deduplicated },
      days,
      drifts,
      sourceTotals,
      checkKey: target.keys?.overflowed ?? false,
      receipt,
      summary: this.summary(days),
      target,
    }
  }

  /** Wraps a step so that its time is counted, page by page. */
  timed<A extends unknown[], R>(step: Step, work: (...args: A) => R): (...args: A) => R {
    return (...args) => {
      const started = performance.now()
      const count = (): void => this.telemetry.took(step, performance.now() - started)
      const result = work(...args)
      if (result instanceof Promise) void result.finally(count).catch(() => undefined)
      else count()
      return result
    }
  }

  /** Everything the ledger remembers of this attempt. */
  summary(days: readonly DaySummary[]): AttemptSummary {
    const { claim, chunk, compiled } = this
    const { pages, extracted, stagedRows, rejected, deduplicated, rejectedBy, bytes } = this.#tally
    const { requests, retries, waitedMs, bytes: received } = this.#http.usage
    return {
      runId: claim.runId,
      pipeline: chunk.pipeline,
      client: chunk.client,
      from: chunk.window.from,
      to: chunk.window.to,
      attempt: claim.attempt,
      attemptId: claim.attemptId,
      groupId: null,
      headrace: VERSION,
      schemaHash: compiled.schemaHash,
      pipelineHash: compiled.pipelineHash,
      startedAt: this.#startedAt,
      finishedAt: this.context.now(),
      api: { requests, retries, waitedMs, bytes: received, pages },
      quotas: this.#quotas.lowest(),
      rows: {
        extracted,
        staged: stagedRows,
        rejected,
        deduplicated,
        deleted: 0,
        inserted: 0,
        present: null,
        previous: previousRows(chunk, this.published),
      },
      rejectedBy: Object.fromEntries(rejectedBy),
      stagedBytes: bytes,
      cost: null,
      days,
      columns: this.#tally.summary.columns(),
      fields: [...this.shape.fields().counts.keys()],
      reads: this.shape.reads(),
      drifts: this.#tally.drifts,
      sourceTotals: this.#tally.sourceTotals,
      ...(this.#span.ids === undefined ? {} : { trace: this.#span.ids }),
    }
  }

  /** What happens to the chunk after an error. */
  settlement(error: HeadraceError): Settlement {
    const { options, now, persistent } = this.context
    return settlementOf(error, this.claim, options, { now: now(), persistent })
  }

  /** The attempt is over, one way or the other. */
  end(): void {
    // A page that was asked for ahead is not wanted any more.
    this.#over.abort()
    const { metrics, now } = this.context
    const { retries, waitedMs, bytes } = this.#http.usage
    const api = this.compiled.pipeline.source.name
    metrics.chunkSeconds.observe({ pipeline: this.compiled.pipeline.name }, (now() - this.#startedAt) / 1_000)
    metrics.bytesExtracted.inc({ pipeline: this.compiled.pipeline.name }, bytes)
    metrics.apiRetries.inc({ api }, retries)
    metrics.apiWaitSeconds.inc({ api }, waitedMs / 1_000)
  }
}
