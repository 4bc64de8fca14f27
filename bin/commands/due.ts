import { windowText } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import { type Client, type Config, resolveClients } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import type { Pipeline } from '../../lib/index.ts'
import { type Estimate, estimatePlan, type Figure } from '../../lib/plan/estimate.ts'
import { type DueChunk, planDue, upstreamsOf } from '../../lib/plan/plan.ts'
import { nextOccasion } from '../../lib/plan/schedule.ts'
import { bytes, columns, count, duration, minute, output, plural } from '../output.ts'
import { chosenPipelines, patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** What `plan` takes when it is asked for no days. */
export interface DueOptions extends CommonOptions {
  readonly pipeline?: string
  readonly clients?: readonly string[]
  readonly at?: string
}

/** Chunks listed by name; beyond it they are only counted. */
const LISTED = 20

/** `headrace plan` without days: what is due now, why, what it waits for, and when more will be. */
export async function due(options: DueOptions): Promise<void> {
  const now = options.at === undefined ? Date.now() : instant(options.at)
  await withConfig(options.config, async config => {
    const pipelines = chosenPipelines(config, options.pipeline)
    const clients = await resolveClients(config, options.clients, patientCall.signal)
    const plans = await Array.fromAsync(plansOf(config, pipelines, clients, now))
    if (options.json) {
      output.json({ command: 'plan', at: new Date(now).toISOString(), clients: clients.length, pipelines: plans.map(shown) })
      return
    }
    const chunks = plans.reduce((sum, { due }) => sum + due.length, 0)
    output.line(`${minute(now)}, ${plural(clients.length, 'client')}: ${plural(chunks, 'chunk')} due`)
    for (const plan of plans) for (const line of linesOf(plan)) output.line(line)
    const schedules = plans.flatMap(({ pipeline, next }) =>
      pipeline.schedule.map(({ name, cron, lookbackDays }, index) => [
        pipeline.name,
        name,
        cron,
        plural(lookbackDays, 'day'),
        next[index] === undefined ? '' : `${minute(next[index].at)} (${next[index].timeZone})`,
      ]),
    )
    output.line()
    if (schedules.length === 0) {
      output.line('No schedule is declared, so nothing is ever due by itself. --from and --to plan a backfill.')
    } else
      for (const line of columns([['pipeline', 'schedule', 'cron', 'back', 'next occasion'], ...schedules])) output.line(line)
  })
}

/** What is due of one pipeline. */
interface Plan {
  readonly pipeline: Pipeline
  readonly due: readonly (DueChunk & { readonly waitsFor: readonly string[] })[]
  readonly estimate: Estimate | null
  /** For each schedule its earliest next occasion, and the time zone of the clients it is for. */
  readonly next: readonly { readonly at: number; readonly timeZone: string }[]
}

async function* plansOf(
  config: Config,
  pipelines: readonly Pipeline[],
  clients: readonly Client[],
  now: number,
): AsyncGenerator<Plan> {
  const { ledger, warehouse } = config
  const compiled = config.pipelines.map(pipeline => compilePipeline(pipeline, warehouse))
  const runs = await planDue(compiled, clients, ledger, now)
  const zones = [...new Set(clients.map(({ timeZone }) => timeZone))]
  for (const pipeline of pipelines) {
    const chunks = runs.find(({ request }) => request.pipeline === pipeline.name)?.chunks ?? []
    const waitsFor = await upstreamsOf(pipeline, chunks, runs, ledger)
    yield {
      pipeline,
      due: chunks.map((chunk, index) => ({ ...chunk, waitsFor: waitsFor[index] ?? [] })),
      estimate: chunks.length === 0 ? null : await estimatePlan(config, pipeline, chunks, patientCall),
      next: pipeline.schedule.map(schedule =>
        zones
          .map(timeZone => ({ at: nextOccasion(schedule, timeZone, now), timeZone }))
          .reduce((first, other) => (other.at < first.at ? other : first)),
      ),
    }
  }
}

function shown({ pipeline, due, estimate, next }: Plan) {
  return {
    pipeline: pipeline.name,
    schedules: pipeline.schedule.map((schedule, index) => ({
      ...schedule,
      next: next[index] === undefined ? null : new Date(next[index].at).toISOString(),
    })),
    after: pipeline.after,
    estimate,
    chunks: due.map(({ chunk, why, priority, reasons, waitsFor }) => ({
      client: chunk.client,
      ...chunk.window,
      why,
      priority,
      reasons,
      waitsFor,
    })),
  }
}

function* linesOf({ pipeline, due, estimate }: Plan): Generator<string> {
  if (estimate === null) return
  const live = due.filter(({ priority }) => priority === 'live').length
  yield ''
  yield `${pipeline.name}: ${plural(due.length, 'chunk')} due, ${count(live)} live`
  const waiting = Map.groupBy(
    due.flatMap(({ waitsFor }) => waitsFor),
    name => name,
  )
  for (const [name, chunks] of waiting) yield `  ${count(chunks.length)} wait until ${name} has published their days`
  yield ''
  yield* columns(figuresOf(estimate))
  yield ''
  const row = ({ chunk, priority, reasons, waitsFor }: Plan['due'][number]): string[] => [
    chunk.client,
    windowText(chunk.window),
    priority,
    reasons.join(', '),
    waitsFor.join(', '),
  ]
  // The newest days first, as they are read.
  const listed = due.toSorted((a, b) => (a.chunk.window.to < b.chunk.window.to ? 1 : -1)).slice(0, LISTED)
  yield* columns([['client', 'days', 'priority', 'why', 'waits for'], ...listed.map(row)])
  if (due.length > LISTED) yield `and ${count(due.length - LISTED)} more (--json lists them all)`
}

/** What is expected of a plan, for people. */
export function figuresOf({ rows, requests, seconds, bytesBilled }: Estimate): string[][] {
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

function instant(text: string): number {
  const ms = Date.parse(text)
  if (Number.isFinite(ms) && /T.*(Z|[+-]\d\d:\d\d)$/.test(text)) return ms
  throw new ConfigError('USAGE', {
    message: `--at ${text} is not an instant`,
    hint: 'Write it with its offset, such as 2026-11-25T06:00:00Z. Nothing was read or written.',
  })
}
