import { parseWindow, windowText } from '../../lib/chunk.ts'
import { resolveClients } from '../../lib/config.ts'
import { type PlannedChunk, planBackfill } from '../../lib/plan.ts'
import { columns, count, output } from '../output.ts'
import { onePipeline, patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** What `plan` and `backfill` have in common. */
export interface PlanOptions extends CommonOptions {
  readonly pipeline?: string
  readonly from: string
  readonly to: string
  readonly clients?: readonly string[]
  readonly missing?: boolean
}

/** Chunks listed by name; beyond it they are only counted. */
const LISTED = 20

const WHY: Readonly<Record<PlannedChunk['why'], string>> = {
  new: 'never published',
  partly: 'some days never published',
  again: 'published before, read again',
}

/** `headrace plan`: the chunks that are due, and why. Nothing is read from the API. */
export async function plan(options: PlanOptions): Promise<void> {
  const window = parseWindow(options.from, options.to)
  await withConfig(options.config, async config => {
    const pipeline = onePipeline(config, options.pipeline)
    const clients = await resolveClients(config, options.clients, patientCall.signal)
    const request = { window, clients, missing: options.missing === true }
    const due = await Array.fromAsync(planBackfill(pipeline, request, config.ledger))
    const reasons = Map.groupBy(due, ({ why }) => why)
    if (options.json) {
      output.json({
        command: 'plan',
        pipeline: pipeline.name,
        ...window,
        clients: clients.length,
        chunks: due.map(({ chunk, why }) => ({ client: chunk.client, ...chunk.window, why })),
      })
      return
    }
    output.line(`${pipeline.name}, ${windowText(window)}, ${clients.length} clients: ${count(due.length)} chunks are due`)
    for (const [why, chunks] of reasons) output.line(`  ${count(chunks.length)} ${WHY[why]}`)
    if (due.length === 0) return
    output.line()
    const listed = due.slice(0, LISTED).map(({ chunk, why }) => [chunk.client, windowText(chunk.window), WHY[why]])
    for (const line of columns([['client', 'days', 'why'], ...listed])) output.line(line)
    if (due.length > LISTED) output.line(`and ${count(due.length - LISTED)} more (--json lists them all)`)
  })
}
