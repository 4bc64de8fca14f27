import { type Chunk, parseWindow, type Window, windowText } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import { findPipeline, resolveClients } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import type { Run } from '../../lib/ledger/ledger.ts'
import type { LedgerReader } from '../../lib/ledger/reader.ts'
import { estimatePlan } from '../../lib/plan/estimate.ts'
import { type PlannedChunk, planBackfill, requestOf, withReasons } from '../../lib/plan/plan.ts'
import { partOf, type Shard } from '../../lib/plan/shard.ts'
import { columns, count, minute, output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import { type DueOptions, figuresOf, due as planOfNow } from './due.ts'

/** What `plan` takes. */
export interface PlanOptions extends DueOptions {
  readonly from?: string
  readonly to?: string
  readonly missing?: boolean
  readonly force?: boolean
  /** Of a backfill the part that this shard reads. */
  readonly shard?: Shard
}

/** Chunks listed by name; beyond it they are only counted. */
const LISTED = 20

const WHY: Readonly<Record<PlannedChunk['why'], string>> = {
  new: 'never published',
  partly: 'some days never published',
  again: 'published before, read again',
}

/** `headrace plan`: what is due now, or what a backfill would read; why, and what it will take. Nothing is read from the API, and nothing changed. */
export async function plan(options: PlanOptions): Promise<void> {
  const { from, to, missing, at } = options
  if (from !== undefined && to !== undefined && at === undefined) return planBackfillOf(options, parseWindow(from, to))
  if (from === undefined && to === undefined && missing === undefined) return planOfNow(options)
  throw new ConfigError('USAGE', {
    message: at === undefined ? 'a backfill has --from and --to' : '--at is for what is due, --from and --to are for a backfill',
    hint: 'Without any of these, plan shows what is due now. Nothing was read or written.',
  })
}

async function planBackfillOf(options: PlanOptions, window: Window): Promise<void> {
  await withConfig(options.config, async config => {
    const pipeline = findPipeline(config, options.pipeline)
    const clients = (await resolveClients(config, options.clients, patientCall.signal)).map(({ id }) => id)
    const { ledger, warehouse } = config
    const compiled = compilePipeline(pipeline, warehouse)
    const whole = { window, clients }
    const { shard } = options
    const part = shard === undefined ? whole : partOf(shard, whole, pipeline.chunk.days)
    const wanted = { ...(part ?? { window, clients: [] }), force: options.force === true, missing: options.missing === true }
    const open = await ledger.openRun(requestOf(compiled, wanted))
    const chunks = open === undefined ? planBackfill(pipeline, wanted, ledger) : leftOf(open, ledger)
    const due = await Array.fromAsync(withReasons(chunks, ledger))
    const reasons = Map.groupBy(due, ({ why }) => why)
    const estimate = due.length === 0 ? null : await estimatePlan(config, pipeline, due, patientCall)
    if (options.json) {
      output.json({
        command: 'plan',
        pipeline: pipeline.name,
        ...wanted.window,
        clients: wanted.clients.length,
        takesUp: open?.id ?? null,
        estimate,
        chunks: due.map(({ chunk, why }) => ({ client: chunk.client, ...chunk.window, why })),
      })
      return
    }
    output.line(
      `${pipeline.name}, ${windowText(wanted.window)}, ${plural(wanted.clients.length, 'client')}: ${plural(due.length, 'chunk')} due`,
    )
    if (open !== undefined) output.line(`  what is left of the run of ${minute(open.startedAt)}, which is taken up`)
    for (const [why, chunks] of reasons) output.line(`  ${count(chunks.length)} ${WHY[why]}`)
    if (estimate === null) return
    output.line()
    for (const line of columns(figuresOf(estimate))) output.line(line)
    output.line()
    const listed = due.slice(0, LISTED).map(({ chunk, why }) => [chunk.client, windowText(chunk.window), WHY[why]])
    for (const line of columns([['client', 'days', 'why'], ...listed])) output.line(line)
    if (due.length > LISTED) output.line(`and ${count(due.length - LISTED)} more (--json lists them all)`)
  })
}

async function* leftOf({ id }: Run, ledger: LedgerReader): AsyncGenerator<Chunk> {
  for (const { chunk } of await ledger.chunksLeft(id)) yield chunk
}
