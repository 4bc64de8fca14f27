import { pipeline as flow } from 'node:stream/promises'
import { gen } from 'stream-chain/gen.js'
import { Attempt, type AttemptTarget, type RunContext, type StagedAttempt } from './attempt/attempt.ts'
import { guard, mustReadTwice, restatedDays, sameDays } from './attempt/guards.ts'
import { record } from './attempt/record.ts'
import { outcomeOf } from './attempt/telemetry.ts'
import { chunkText, type Window } from './chunk.ts'
import type { CompiledPipeline } from './compile.ts'
import { asHeadraceError, DataError, type HeadraceError } from './errors.ts'
import type { AttemptSummary, Claim, PublishedDay, Restatement } from './ledger/ledger.ts'
import type { Recorded } from './ledger/publishing.ts'
import type { ChunkState } from './ledger/states.ts'
import type { Batch, EncodedPage, MappedPage } from './row.ts'
import { batch } from './steps/batch.ts'
import { encodePage } from './steps/encode.ts'
import { siftRows } from './steps/sift.ts'
import { stageBatch } from './steps/stage.ts'
import { inSpan, type OpenSpan, type SpanAttributes } from './trace.ts'
import type { Member } from './warehouse/warehouse.ts'

/** What became of an attempt at a chunk. */
export interface ChunkResult {
  readonly state: ChunkState
  readonly summary: AttemptSummary
  readonly restatements: readonly Restatement[]
  readonly error: HeadraceError | null
  /** Windows of the chunks that took its place; none where it is still there. */
  readonly parts: readonly Window[]
}

/**
 * One attempt at one chunk, from the claim to the ledger: the only place that joins the steps. It never rejects for what happens to the chunk;
 * it rejects only when the ledger cannot be written, because nothing is safe to continue then.
 */
export function runChunk(
  claim: Claim,
  compiled: CompiledPipeline,
  context: RunContext,
  signal: AbortSignal,
): Promise<ChunkResult> {
  return inSpan(
    'headrace.attempt',
    attributesOf(claim),
    async span => {
      const attempt = new Attempt(claim, compiled, context, span, signal)
      try {
        const result = await publishOrSettle(attempt)
        tell(span, result)
        return result
      } catch (thrown) {
        attempt.telemetry.abandoned(asHeadraceError(thrown), attempt.summary([]))
        throw thrown
      }
    },
    { links: [claim.before] },
  )
}

/** What a span says of an attempt that begins. */
function attributesOf({ chunk, runId, attemptId, attempt }: Claim): SpanAttributes<'headrace.attempt'> {
  return {
    'headrace.run.id': runId,
    'headrace.attempt.id': attemptId,
    'headrace.attempt.number': attempt,
    'headrace.pipeline': chunk.pipeline,
    'headrace.client': chunk.client,
    'headrace.window.from': chunk.window.from,
    'headrace.window.to': chunk.window.to,
  }
}

/** What it says of one that has ended. */
function tell(span: OpenSpan<'headrace.attempt'>, { state, error, parts, summary: { rows } }: ChunkResult): void {
  span.set({
    'headrace.outcome': outcomeOf(state, error, parts),
    'headrace.rows.extracted': rows.extracted,
    'headrace.rows.staged': rows.staged,
    'headrace.rows.rejected': rows.rejected,
    'headrace.rows.deduplicated': rows.deduplicated,
    'headrace.rows.inserted': rows.inserted,
    'headrace.rows.deleted': rows.deleted,
  })
  span.end(error ?? undefined)
}

/** The attempt itself, whose spans and events its caller looks after. */
async function publishOrSettle(attempt: Attempt): Promise<ChunkResult> {
  const { claim, chunk, compiled, context } = attempt
  const { ledger, committer } = context
  const { pipeline } = compiled
  const { attemptId, force } = claim
  let staged: StagedAttempt | undefined
  await context.fault?.('claimed', claim)
  attempt.telemetry.started()
  const published = await ledger.days(chunk.pipeline, chunk.client, chunk.window)
  attempt.published = published
  try {
    staged = await context.reading(() => stage(attempt))
    if (!force && mustReadTwice(pipeline, staged, published)) {
      await staged.target.staging.discard()
      staged = await context.reading(() => stage(attempt.again()))
    }
    attempt.telemetry.drifted(staged.drifts)
    attempt.telemetry.compared(staged.sourceTotals)
    const check = (now: StagedAttempt): Member => {
      balance(now)
      guard(pipeline, now, published, force)
      return memberOf(claim, now, published, !force && sameDays(now.days, published) ? 'confirm' : 'publish')
    }
    let member = check(staged)
    const publish = attempt.timed('commit', async (one: Member, { summary }: StagedAttempt): Promise<Recorded> => {
      await ledger.staged(attemptId, summary, one)
      await context.fault?.('staged', claim)
      const reconciled = attempt.timed('reconcile', record)
      return await inSpan('headrace.commit', {}, async span => {
        const recorded = await committer.publish(pipeline, one, {
          trace: summary.trace,
          // The turn in which it is called may be that of another chunk.
          record: committed =>
            span.within(async () => {
              await context.fault?.('committed', claim)
              const staged = { member: one, summary, published }
              const recorded = await inSpan('headrace.reconcile', {}, () => reconciled(ledger, staged, committed, context.now()))
              await context.fault?.('recorded', claim)
              return recorded
            }),
          withdraw: () => ledger.withdraw(attemptId),
        })
        span.set({ 'headrace.group.id': recorded.summary.groupId ?? '' })
        return recorded
      })
    })
    let result: Recorded
    try {
      result = await publish(member, staged)
    } catch (error) {
      staged = await sift(attempt, staged.target, error)
      member = check(staged)
      result = await publish(member, staged)
    }
    const { state, summary, restatements } = result
    if (member.intent === 'confirm' && state === 'published') {
      attempt.telemetry.warn(
        'TABLE_DIVERGED',
        `${chunkText(chunk)}: the table did not hold what was published before; written again`,
      )
    }
    attempt.telemetry.succeeded(state, summary, restatements)
    return { state, summary, restatements, error: null, parts: [] }
  } catch (thrown) {
    return await settle(attempt, staged, asHeadraceError(thrown))
  } finally {
    attempt.end()
    await staged?.target.staging.discard()
  }
}

/** Reads the chunk into staging: one stream, back-pressured from the warehouse to the API. */
async function stage(attempt: Attempt): Promise<StagedAttempt> {
  const { chunk, claim, context, signal } = attempt
  const { mapPage, validatePage } = attempt.compiled
  const { shape } = attempt
  const target = await attempt.openStaging()
  const write = attempt.timed('stage', stageBatch)
  try {
    const steps = gen(
      attempt.timed('map', (page: readonly unknown[]) => mapPage(page, chunk, shape.types)),
      attempt.timed('validate', (page: MappedPage) => validatePage(page, chunk)),
      attempt.timed('encode', (page: MappedPage) => encodePage(page, target)),
    )
    await inSpan('headrace.read', { 'headrace.api': attempt.compiled.pipeline.source.name }, async span => {
      await flow(
        attempt.pages(),
        async function* toBytes(pages: AsyncIterable<readonly unknown[]>) {
          for await (const page of pages) yield* steps(page)
        },
        (pages: AsyncIterable<EncodedPage>) => batch(pages),
        async (batches: AsyncIterable<Batch>) => {
          for await (const next of batches) {
            if ('rejects' in next) attempt.refused(next.rejects)
            attempt.staged(await write(next, target))
            await context.fault?.('batch', claim)
          }
        },
        { signal },
      )
      span.set(attempt.read)
    })
    return await attempt.seal(target).catch(error => sift(attempt, target, error))
  } catch (error) {
    await target.staging.discard()
    throw error
  }
}

/** Makes rejects of the rows that the warehouse refused, and seals what is left. The error stays where it is not for single rows. */
async function sift(attempt: Attempt, target: AttemptTarget, error: unknown): Promise<StagedAttempt> {
  if (!(error instanceof DataError && error.code === 'STAGED_UNREADABLE')) throw error
  const { signal, telemetry } = attempt
  const rejects = await siftRows(target, { signal, warn: (name, message) => telemetry.warn(name, message) })
  if (rejects.length === 0) throw error
  attempt.refused(rejects)
  attempt.staged({ ...(await stageBatch({ rejects, deduplicated: 0 }, target)), staged: -rejects.length })
  return await attempt.seal(target)
}

/** Every record is accounted for, or nothing of the chunk is published. */
function balance({ chunk, rows }: StagedAttempt): void {
  const { extracted, staged, rejected, deduplicated } = rows
  if (extracted === staged + rejected + deduplicated) return
  throw new DataError('CHUNK_UNBALANCED', {
    message: `${chunkText(chunk)}: ${extracted} extracted, but ${staged} staged + ${rejected} rejected + ${deduplicated} deduplicated`,
    hint: 'Nothing of this chunk was published. This is a defect of headrace or of a custom step; please report it.',
  })
}

function memberOf(claim: Claim, staged: StagedAttempt, published: readonly PublishedDay[], intent: Member['intent']): Member {
  return {
    chunk: claim.chunk,
    attemptId: claim.attemptId,
    receipt: staged.receipt,
    generation: claim.generation,
    intent,
    days: staged.days,
    restated: intent === 'publish' ? restatedDays(staged.days, published) : [],
    checkKey: staged.checkKey,
  }
}

/** Rejects of a chunk that is held are kept; the ledger has nothing to say of it. */
const NOTHING_MORE = { trace: undefined, record: async () => undefined, withdraw: async () => undefined }

/** The attempt failed: what is kept of it, and what happens next. */
async function settle(attempt: Attempt, staged: StagedAttempt | undefined, error: HeadraceError): Promise<ChunkResult> {
  const { claim, context, compiled } = attempt
  let problem = error
  let settlement = attempt.settlement(error)
  if (settlement.state === 'held' && staged !== undefined && staged.rows.rejected > 0) {
    // The rejects are the evidence; whoever decides must be able to see them, although the rows stay out.
    try {
      await context.committer.publish(compiled.pipeline, memberOf(claim, staged, [], 'rejects'), NOTHING_MORE)
    } catch (thrown) {
      problem = asHeadraceError(thrown)
      settlement = attempt.settlement(problem)
    }
  }
  const summary = { ...(staged?.summary ?? attempt.summary([])), finishedAt: context.now() }
  try {
    if (problem.code !== 'LEASE_LOST') await context.ledger.settle(claim.attemptId, settlement, summary)
  } catch (thrown) {
    problem = asHeadraceError(thrown)
    if (problem.code !== 'LEASE_LOST') throw thrown
    // Whatever it was: another process has the chunk by now, or has published it.
    settlement = attempt.settlement(problem)
  }
  attempt.telemetry.failed(settlement, problem, summary)
  return { state: settlement.state, summary, restatements: [], error: problem, parts: settlement.parts ?? [] }
}
