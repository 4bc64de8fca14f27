import { Registry } from 'prom-client'
import { type BackfillResult, nothingArrived, backfill as runBackfill } from '../../lib/backfill.ts'
import { parseWindow, type Window, windowText } from '../../lib/chunk.ts'
import { type Config, findPipeline, resolveClients } from '../../lib/config.ts'
import { createLog, type Pipeline, type WarningName } from '../../lib/index.ts'
import type { Restatement, RunTotals, StateTotals } from '../../lib/ledger/ledger.ts'
import { CHUNK_STATES, PROBLEM_STATES } from '../../lib/ledger/states.ts'
import type { LogLevel } from '../../lib/log.ts'
import { partOf, type Shard, shardText } from '../../lib/plan/shard.ts'
import { serveMetrics } from '../../lib/server/server.ts'
import { columns, count, duration, output, plural } from '../output.ts'
import { Progress } from '../progress.ts'
import { checkShard, type ShardOptions, shardOf } from '../shard.ts'
import { listenToSignals } from '../signals.ts'
import { withConfig } from './context.ts'
import { type PlanOptions, plan } from './plan.ts'
import { ALL, problemLines } from './status.ts'

/** What `headrace backfill` takes. */
export interface BackfillOptions extends Omit<PlanOptions, 'shard'>, ShardOptions {
  readonly from: string
  readonly to: string
  readonly concurrency?: number
  readonly sameHost?: boolean
  readonly dryRun?: boolean
  readonly metricsPort?: number
  readonly metricsHost: string
  readonly push?: string
  readonly logLevel: LogLevel
}

/** Problems printed at the end; `headrace status` shows more. */
const LISTED = 10

/** `headrace backfill`: reads a window of days for some clients and publishes it. */
export async function backfill(options: BackfillOptions): Promise<void> {
  const shard = shardOf(options, process.env)
  if (options.dryRun) {
    await plan({ ...options, shard })
    return
  }
  const window = parseWindow(options.from, options.to)
  const control = listenToSignals()
  const read = async (loaded: Config): Promise<void> => {
    const config = withConcurrency(loaded, options.concurrency)
    const pipeline = findPipeline(config, options.pipeline)
    checkShard(shard, config, options.sameHost === true)
    const clients = (await resolveClients(config, options.clients, control.stop)).map(({ id }) => id)
    const part = partOf(shard, { window, clients }, pipeline.chunk.days)
    if (part === undefined) {
      nothingToDo(pipeline, shard, { window, clients: clients.length, json: options.json === true })
      return
    }
    control.drainMs = config.settings.drainSeconds * 1_000
    const registry = new Registry()
    const log = createLog(options.logLevel)
    const { metricsPort: port, metricsHost: host } = options
    const metrics = port === undefined ? undefined : await serveMetrics(registry, log, { host, port })
    if (metrics !== undefined) output.note(`metrics at ${metrics.url}/metrics`)
    // A log on the terminal and a bar would write over each other.
    const progress = new Progress(process.stderr.isTTY && !options.json && options.logLevel === 'silent')
    const { drainSeconds } = config.settings
    control.stop.addEventListener('abort', () =>
      progress.say(`stopping: what is under way is finished first, within ${drainSeconds} s; a second signal gives it up`),
    )
    control.abort.addEventListener('abort', () => progress.say('giving up what is under way; a third signal leaves at once'))
    // However it ends, the terminal gets its cursor back.
    process.once('exit', () => progress.stop())
    const started = performance.now()
    try {
      const result = await runBackfill(
        config,
        { pipeline, ...part, force: options.force === true, missing: options.missing === true },
        { log, registry, observe: progress.observe, control, ...(options.push === undefined ? {} : { push: options.push }) },
      )
      progress.stop()
      process.exitCode = result.exitCode
      await account(config, pipeline, result, {
        window: part.window,
        clients: part.clients.length,
        shard,
        warnings: Object.fromEntries(progress.warnings),
        seconds: (performance.now() - started) / 1_000,
        json: options.json === true,
      })
    } finally {
      progress.stop()
      await metrics?.close()
    }
  }
  await withConfig(options.config, read, control.stop)
}

function withConcurrency(config: Config, concurrency: number | undefined): Config {
  return concurrency === undefined ? config : { ...config, settings: { ...config.settings, concurrency } }
}

interface Account {
  readonly window: Window
  readonly clients: number
  readonly shard: Shard
  /** How often which warning was given. */
  readonly warnings: Readonly<Partial<Record<WarningName, number>>>
  readonly seconds: number
  readonly json: boolean
}

/** The closing account: where every record went, and what waits for somebody. */
async function account(config: Config, pipeline: Pipeline, result: BackfillResult, asked: Account): Promise<void> {
  const { run, totals, exitCode } = result
  const { window, clients, shard, warnings, seconds, json } = asked
  const problems = await config.ledger.problems(pipeline.name, run.id, json ? ALL : LISTED)
  const restatements = await config.ledger.restatements(pipeline.name, Math.min(totals.restatedDays, LISTED))
  if (json) {
    output.json({
      command: 'backfill',
      pipeline: pipeline.name,
      ...window,
      clients,
      shard: shardText(shard),
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
  output.line(`${pipeline.name}, ${windowText(window)}, ${plural(clients, 'client')}, ${duration(seconds)}`)
  output.line()
  for (const line of columns(accountRows(totals))) output.line(line)
  const remarks = [...sentences(totals, pipeline, warnings), ...restatements.map(restated)]
  if (exitCode === 130) remarks.push('Interrupted after a clean drain; the same command goes on from here.')
  if (remarks.length > 0) output.line()
  for (const remark of remarks) output.line(remark)
  for (const problem of problems) for (const line of problemLines(problem)) output.line(line)
  const more = PROBLEM_STATES.reduce((sum, state) => sum + (totals.states[state]?.chunks ?? 0), 0) - problems.length
  if (more > 0) output.line(`\nand ${plural(more, 'chunk')} more; headrace status lists them`)
}

/** More shards than there are clients, or chunks of the only one: that is no mistake, and said. */
function nothingToDo(
  pipeline: Pipeline,
  shard: Shard,
  { window, clients, json }: Pick<Account, 'window' | 'clients' | 'json'>,
): void {
  const totals: RunTotals = { states: {}, emptyChunks: 0, restatedDays: 0 }
  const empty = { run: null, resumed: false, exitCode: 0, seconds: 0, ...totals, warnings: {}, problems: [] }
  if (json)
    output.json({ command: 'backfill', pipeline: pipeline.name, ...window, clients: 0, shard: shardText(shard), ...empty })
  else output.line(`${pipeline.name}, shard ${shardText(shard)} of ${plural(clients, 'client')}: nothing falls to it.`)
}

function restated({ client, day, rowsBefore, rowsAfter, added, removed, totalsBefore, totalsAfter }: Restatement): string {
  const moved = Object.entries(totalsAfter)
    .filter(([column, after]) => totalsBefore[column] !== after)
    .map(([column, after]) => `${column} ${totalsBefore[column]} -> ${after}`)
  const rows = rowsBefore === rowsAfter ? `${count(rowsAfter)} rows` : `${count(rowsBefore)} -> ${count(rowsAfter)} rows`
  return [`  ${client}, ${day}: ${rows}`, `${count(added)} new, ${count(removed)} gone`, ...moved].join('; ')
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

function* sentences(totals: RunTotals, pipeline: Pipeline, warnings: Account['warnings']): Generator<string> {
  const { states, emptyChunks, restatedDays } = totals
  if (Object.keys(states).length === 0) yield 'There was nothing to do: every day is published.'
  if (states.published === undefined && states.unchanged !== undefined)
    yield 'Nothing was written: the table already holds what the API says.'
  if (nothingArrived(totals, pipeline)) {
    yield "Not one record arrived from any chunk. If that is right, say so with `empty: 'allow'` in the checks of the pipeline."
  } else if (emptyChunks > 0) yield `${plural(emptyChunks, 'chunk')} without a row.`
  if (restatedDays > 0) yield `${plural(restatedDays, 'published day')} with other numbers than before.`
  const named = Object.entries(warnings).map(([name, number]) => `${name} ${count(number)}`)
  if (named.length > 0) yield `Warnings: ${named.join(', ')}.`
}
