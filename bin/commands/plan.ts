import { type Chunk, parseWindow, windowText } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import { findPipeline, resolveClients } from '../../lib/config.ts'
import { type Estimate, estimatePlan, type Figure } from '../../lib/estimate.ts'
import type { Run } from '../../lib/ledger/ledger.ts'
import type { LedgerReader } from '../../lib/ledger/reader.ts'
import { type PlannedChunk, planBackfill, requestOf, withReasons } from '../../lib/plan.ts'
import { bytes, columns, count, duration, minute, output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** What `plan` and `backfill` have in common. */
export interface PlanOptions extends CommonOptions {
  readonly pipeline?: string
  readonly from: string
  readonly to: string
  readonly clients?: readonly string[]
  readonly missing?: boolean
  readonly force?: boolean
}

/** Chunks listed by name; beyond it they are only counted. */
const LISTED = 20

const WHY: Readonly<Record<PlannedChunk['why'], string>> = {
  new: 'never published',
  partly: 'some days never published',
  again: 'published before, read again',
}

/** `headrace plan`: the chunks that are due, why, and what they will take. Nothing is read from the API, and nothing changed. */
export async function plan(options: PlanOptions): Promise<void> {
  const window = parseWindow(options.from, options.to)
  await withConfig(options.config, async config => {
    const pipeline = findPipeline(config, options.pipeline)
    const clients = (await resolveClients(config, options.clients, patientCall.signal)).map(({ id }) => id)
    const { ledger, warehouse } = config
    const compiled = compilePipeline(pipeline, warehouse)
    const wanted = { window, clients, force: options.force === true, missing: options.missing === true }
    const open = await ledger.openRun(requestOf(compiled, wanted))
    const chunks = open === undefined ? planBackfill(pipeline, wanted, ledger) : leftOf(open, ledger)
    const due = await Array.fromAsync(withReasons(chunks, ledger))
    const reasons = Map.groupBy(due, ({ why }) => why)
    const estimate = due.length === 0 ? null : await estimatePlan(config, pipeline, due, patientCall)
    if (options.json) {
      output.json({
        command: 'plan',
        pipeline: pipeline.name,
        ...window,
        clients: clients.length,
        takesUp: open?.id ?? null,
        estimate,
        chunks: due.map(({ chunk, why }) => ({ client: chunk.client, ...chunk.window, why })),
      })
      return
    }
    output.line(
      `${pipeline.name}, ${windowText(window)}, ${plural(clients.length, 'client')}: ${plural(due.length, 'chunk')} due`,
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

function figuresOf({ rows, requests, seconds, bytesBilled }: Estimate): string[][] {
  const row = (name: string, { about, restsOn }: Figure, text: (about: number) => string): string[] => [
    name,
    about === null ? 'unknown' : text(about),
    restsOn,
  ]
  return [
    ['expected', 'about', 'by'],
    row('rows', rows, count),
    row('requests', requests, count),
    row('time', seconds, duration),
    row('bytes billed', bytesBilled, bytes),
  ]
}

async function* leftOf({ id }: Run, ledger: LedgerReader): AsyncGenerator<Chunk> {
  for (const { chunk } of await ledger.chunksLeft(id)) yield chunk
}
