import type { Config } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import { LIVE_CHECKS } from '../../lib/testing/live/checks.ts'
import { OBSERVATIONS } from '../../lib/testing/live/observations.ts'
import { type LiveResult, runLive } from '../../lib/testing/live/run.ts'
import { Scratch } from '../../lib/testing/live/scratch.ts'
import { isBigQuery } from '../../lib/warehouse/bigquery/bigquery.ts'
import { failure } from '../../lib/warehouse/bigquery/failure.ts'
import type { Settings } from '../../lib/warehouse/bigquery/options.ts'
import { columns, duration, output, plural } from '../output.ts'
import { withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace check --live`: everything that headrace relies on, tried on the real service, with throw-away tables in a dataset of its own. */
export async function live(dataset: string | undefined, { config: file, json = false }: CommonOptions): Promise<void> {
  const stop = new AbortController()
  const interrupt = (): void => {
    if (!stop.signal.aborted) output.note('stopping: what was made is removed first')
    stop.abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  await withConfig(
    file,
    async config => {
      const settings = settingsOf(config, dataset)
      const scratch = await opened(settings, dataset ?? '', stop.signal)
      output.note(`${plural(LIVE_CHECKS.length, 'check')} in ${scratch.dataset}; on the real service this may take an hour`)
      const started = performance.now()
      const result = await runLive(scratch, { checks: LIVE_CHECKS, observations: OBSERVATIONS }, line => output.note(line))
      process.exitCode = exitCodeOf(result)
      report(scratch, result, (performance.now() - started) / 1_000, json)
    },
    stop.signal,
  )
}

/** The settings of the warehouse; throws when it is no BigQuery, or the dataset holds something that is needed. */
function settingsOf({ warehouse, pipelines }: Config, dataset: string | undefined): Settings {
  const hint = 'Nothing was read or written.'
  if (!isBigQuery(warehouse)) {
    throw new ConfigError('USAGE', { message: `check --live is for BigQuery, and the warehouse is ${warehouse.name}`, hint })
  }
  if (dataset === undefined || !/^[A-Za-z0-9_]{1,1024}$/.test(dataset)) {
    throw new ConfigError('USAGE', {
      message: `--live needs the name of a dataset with --dataset, not ${dataset ?? 'none'}`,
      hint,
    })
  }
  const used = [warehouse.settings.stagingDataset, ...pipelines.map(({ table }) => table.name.split('.')[0] ?? '')]
  if (used.some(name => name.toLowerCase() === dataset.toLowerCase())) {
    throw new ConfigError('USAGE', {
      message: `--dataset ${dataset} is one that the configuration uses; what is staged there would be removed`,
      hint: `Name one that nobody uses; it is created when it is not there. ${hint}`,
    })
  }
  return warehouse.settings
}

async function opened(settings: Settings, dataset: string, signal: AbortSignal): Promise<Scratch> {
  try {
    return await Scratch.open(settings, dataset, signal)
  } catch (error) {
    throw failure(dataset, error, 'Nothing was written.')
  }
}

function exitCodeOf({ checks, interrupted, left }: LiveResult): number {
  if (interrupted) return 130
  if (checks.some(({ problem }) => problem !== null)) return 42
  return left.length > 0 ? 1 : 0
}

function report({ dataset }: Scratch, result: LiveResult, seconds: number, json: boolean): void {
  const { checks, observations, interrupted, left } = result
  const failed = checks.filter(({ problem }) => problem !== null)
  if (json) {
    output.json({ command: 'check', live: true, dataset, seconds, exitCode: exitCodeOf(result), ...result })
    return
  }
  const rows = checks.map(({ title, seconds: took, problem }) => [problem === null ? 'holds' : 'FAILS', duration(took), title])
  for (const line of columns([['', 'took', 'what must hold'], ...rows])) output.line(line)
  for (const { title, problem } of failed) output.line(`\n${title}\n  ${problem?.replaceAll('\n', '\n  ')}`)
  output.line()
  for (const line of columns([
    ['what nobody has seen', 'what was seen'],
    ...observations.map(({ point, saw }) => [point, saw]),
  ])) {
    output.line(line.replaceAll('\n', ' '))
  }
  output.line()
  output.line(`${checks.length - failed.length} of ${plural(LIVE_CHECKS.length, 'check')} hold, ${duration(seconds)}.`)
  if (interrupted) output.line('Interrupted: the others were not looked at.')
  output.line(left.length === 0 ? 'Everything that was made is removed.' : `Could not be removed: ${left.join(', ')}.`)
}
