import { Registry } from 'prom-client'
import { type BackfillResult, nothingArrived, backfill as runBackfill } from '../../lib/backfill.ts'
import { parseWindow, windowText } from '../../lib/chunk.ts'
import { type Config, resolveClients } from '../../lib/config.ts'
import { createLog, type Pipeline } from '../../lib/index.ts'
import type { Restatement, RunTotals, StateTotals } from '../../lib/ledger/ledger.ts'
import { CHUNK_STATES } from '../../lib/ledger/states.ts'
import type { LogLevel } from '../../lib/log.ts'
import { serveMetrics } from '../../lib/server/metrics.ts'
import { columns, count, duration, output } from '../output.ts'
import { Progress } from '../progress.ts'
import { onePipeline, withConfig } from './context.ts'
import { type PlanOptions, plan } from './plan.ts'
import { problemLines } from './status.ts'

/** What `headrace backfill` takes. */
export interface BackfillOptions extends PlanOptions {
  readonly concurrency?: number
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly metricsPort?: number
  readonly logLevel: LogLevel
}

/** Problems printed at the end; `headrace status` shows more. */
const LISTED = 10

/** `headrace backfill`: reads a window of days for some clients and publishes it. */
export async function backfill(options: BackfillOptions): Promise<void> {
  if (options.dryRun) {
    await plan(options)
    return
  }
  const window = parseWindow(options.from, options.to)
  const control = listenToSignals()
  await withConfig(options.config, async loaded => {
    const config = withConcurrency(loaded, options.concurrency)
    const pipeline = onePipeline(config, options.pipeline)
    const clients = await resolveClients(config, options.clients, control.stop)
    control.drainMs = config.settings.drainSeconds * 1_000
    const registry = new Registry()
    const metrics = options.metricsPort === undefined ? undefined : await serveMetrics(registry, options.metricsPort)
    const progress = new Progress(process.stderr.isTTY && !options.json)
    const started = performance.now()
    try {
      const result = await runBackfill(
        config,
        { pipeline, window, clients, force: options.force === true, missing: options.missing === true },
        { log: createLog(options.logLevel), registry, observe: progress.observe, control },
      )
      progress.stop()
      process.exitCode = result.exitCode
      await account(config, pipeline, result, {
        window: windowText(window),
        clients: clients.length,
        progress,
        started,
        json: options.json,
      })
    } finally {
      progress.stop()
      await metrics?.close()
    }
  })
}

function withConcurrency(config: Config, concurrency: number | undefined): Config {
  return concurrency === undefined ? config : { ...config, settings: { ...config.settings, concurrency } }
}

/** The first signal stops the claiming of chunks, the second (or the end of patience) gives up those under way. */
function listenToSignals(): { readonly stop: AbortSignal; readonly abort: AbortSignal; drainMs: number } {
  const stop = new AbortController()
  const abort = new AbortController()
  const control = { stop: stop.signal, abort: abort.signal, drainMs: 0 }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) {
        abort.abort()
        return
      }
      stop.abort()
      setTimeout(() => abort.abort(), control.drainMs).unref()
    })
  }
  return control
}

interface Account {
  readonly window: string
  readonly clients: number
  readonly progress: Progress
  readonly started: number
  readonly json: boolean | undefined
}

/** The closing account: where every record went, and what waits for somebody. */
async function account(config: Config, pipeline: Pipeline, result: BackfillResult, asked: Account): Promise<void> {
  const { run, totals, exitCode } = result
  const problems = await config.ledger.problems(pipeline.name, run.id, LISTED)
  const restatements = totals.restatedDays === 0 ? [] : await config.ledger.restatements(pipeline.name, LISTED)
  const seconds = (performance.now() - asked.started) / 1_000
  const warnings = Object.fromEntries(asked.progress.warnings)
  if (asked.json) {
    output.json({
      command: 'backfill',
      pipeline: pipeline.name,
      run: run.id,
      resumed: run.resumed,
      exitCode,
      seconds,
      ...totals,
      warnings,
      problems,
    })
    return
  }
  output.line(`${pipeline.name}, ${asked.window}, ${asked.clients} clients, ${duration(seconds)}`)
  output.line()
  for (const line of columns(accountRows(totals))) output.line(line)
  output.line()
  for (const sentence of sentences(totals, pipeline, warnings)) output.line(sentence)
  for (const restatement of restatements) output.line(`  ${restated(restatement)}`)
  for (const problem of problems) for (const line of problemLines(problem)) output.line(line)
  if (exitCode === 130) output.line('Interrupted after a clean drain; the same command goes on from here.')
}

function restated({ client, day, rowsBefore, rowsAfter, added, removed, totalsBefore, totalsAfter }: Restatement): string {
  const moved = Object.entries(totalsAfter)
    .filter(([column, after]) => totalsBefore[column] !== after)
    .map(([column, after]) => `${column} ${totalsBefore[column]} -> ${after}`)
  const rows = rowsBefore === rowsAfter ? `${count(rowsAfter)} rows` : `${count(rowsBefore)} -> ${count(rowsAfter)} rows`
  return [`${client}, ${day}: ${rows}`, `${count(added)} new, ${count(removed)} gone`, ...moved].join('; ')
}

const HEADING = ['', 'chunks', 'extracted', 'staged', 'rejected', 'deduplicated', 'inserted', 'deleted']

function accountRows({ states }: RunTotals): (string | number)[][] {
  const row = (name: string, sums: StateTotals): (string | number)[] => [
    name,
    sums.chunks,
    sums.extracted,
    sums.staged,
    sums.rejected,
    sums.deduplicated,
    sums.inserted,
    sums.deleted,
  ]
  const rows = CHUNK_STATES.flatMap(state => (states[state] === undefined ? [] : [row(state, states[state])]))
  const total = ['all', ...HEADING.slice(1).map((_, column) => rows.reduce((sum, cells) => sum + Number(cells[column + 1]), 0))]
  return rows.length > 1 ? [HEADING, ...rows, total] : [HEADING, ...rows]
}

function* sentences(totals: RunTotals, pipeline: Pipeline, warnings: Readonly<Record<string, number>>): Generator<string> {
  const { published, unchanged } = totals.states
  if (published === undefined && unchanged !== undefined) yield 'Nothing was written: the table already holds what the API says.'
  if (nothingArrived(totals, pipeline)) {
    yield "Not one record arrived from any chunk. If that is right, say so with `empty: 'allow'` in the checks of the pipeline."
  } else if (totals.emptyChunks > 0) yield `${count(totals.emptyChunks)} chunks hold no rows.`
  if (totals.restatedDays > 0) yield `${count(totals.restatedDays)} published days had other numbers than before.`
  const named = Object.entries(warnings).map(([name, number]) => `${name} ${count(number)}`)
  if (named.length > 0) yield `Warnings: ${named.join(', ')}.`
}
