import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError, HeadraceError } from './errors.ts'
import type { Ledger } from './ledger/ledger.ts'
import { type Options, resolveOptions } from './options.ts'
import type { Pipeline } from './pipeline.ts'
import type { Warehouse } from './warehouse/warehouse.ts'

/** What a configuration file exports by default. */
export interface ConfigOptions {
  readonly pipelines: readonly Pipeline[]
  /** Whose data is pulled: a list, or a function that fetches it. */
  readonly clients: readonly string[] | ((signal: AbortSignal) => Promise<readonly string[]>)
  readonly warehouse: Warehouse
  readonly ledger: Ledger
  /** Settings that differ from their defaults; see `docs/configuration.md`. */
  readonly settings?: Partial<Options>
}

/** A configuration that was checked. */
export interface Config extends Omit<ConfigOptions, 'settings'> {
  readonly settings: Options
}

/** Declares a configuration. Throws `CONFIG_INVALID` with everything that is wrong with it. */
export function defineConfig(options: ConfigOptions): Config {
  const problems: string[] = []
  const names = new Set<string>()
  const tables = new Set<string>()
  for (const { name, table } of options.pipelines) {
    if (names.has(name)) problems.push(`two pipelines are named ${name}`)
    if (tables.has(table.name)) problems.push(`two pipelines write ${table.name}: each would delete the other's rows`)
    names.add(name)
    tables.add(table.name)
  }
  if (options.pipelines.length === 0) problems.push('it has no pipelines')
  if (problems.length > 0) throw invalid('the configuration', problems)
  return { ...options, settings: resolveOptions(options.settings) }
}

function invalid(what: string, problems: readonly string[], cause?: unknown): ConfigError {
  return new ConfigError('CONFIG_INVALID', {
    message: `${what}: ${problems.join('; ')}`,
    hint: 'Correct the configuration. Nothing was read or written.',
    cause,
  })
}

/** Loads a configuration file, TypeScript or JavaScript. Every way it can fail is a `ConfigError` that names the file. */
export async function loadConfig(file: string): Promise<Config> {
  const path = resolve(file)
  if ((await stat(path).catch(() => undefined)) === undefined) {
    throw new ConfigError('CONFIG_NOT_FOUND', {
      message: `there is no configuration ${path}`,
      hint: 'Name one with --config, or run headrace where headrace.config.ts is.',
    })
  }
  let loaded: { readonly default?: unknown }
  try {
    loaded = await import(pathToFileURL(path).href)
  } catch (error) {
    if (error instanceof HeadraceError) throw error
    throw new ConfigError('CONFIG_FAILED', {
      message: `${path} could not be loaded: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}${place(error, path)}`,
      hint: 'Correct the file. Nothing was read or written.',
      cause: error,
    })
  }
  if (!isConfig(loaded.default)) throw invalid(path, ['its default export is not what defineConfig() returns'])
  return loaded.default
}

/** The line of the configuration an error came from, if its stack says so. */
function place(error: unknown, path: string): string {
  const line = error instanceof Error ? error.stack?.split('\n').find(frame => frame.includes(path)) : undefined
  const position = /:(\d+):\d+\)?$/.exec(line ?? '')?.[1]
  return position === undefined ? '' : ` (line ${position})`
}

function isConfig(value: unknown): value is Config {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pipelines' in value &&
    Array.isArray(value.pipelines) &&
    'warehouse' in value &&
    'ledger' in value &&
    'clients' in value &&
    'settings' in value
  )
}

/** An error and what caused it, in one line; `fetch failed` alone helps nobody. */
function reasons(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message} (${reasons(error.cause)})`
}

/** The pipeline of that name, or a `ConfigError` that lists those there are. */
export function findPipeline({ pipelines }: Pick<Config, 'pipelines'>, name: string): Pipeline {
  const found = pipelines.find(pipeline => pipeline.name === name)
  if (found !== undefined) return found
  throw new ConfigError('USAGE', {
    message: `there is no pipeline ${name}; there are ${pipelines.map(pipeline => pipeline.name).join(', ')}`,
    hint: 'Nothing was read or written.',
  })
}

/** The clients of a configuration, all of them or those asked for. */
export async function resolveClients(
  { clients }: Pick<Config, 'clients'>,
  only: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  let all: readonly string[]
  try {
    all = typeof clients === 'function' ? await clients(signal) : clients
  } catch (error) {
    throw new ConfigError('CLIENTS_UNAVAILABLE', {
      message: `the list of clients could not be obtained: ${reasons(error)}`,
      hint: 'Nothing was read or written.',
      cause: error,
    })
  }
  const problems = [
    ...(all.length === 0 ? ['it is empty'] : []),
    ...all
      .filter(client => typeof client !== 'string' || client.trim() === '')
      .map(client => `${JSON.stringify(client)} is not a client id`),
    ...all.filter((client, index) => all.indexOf(client) !== index).map(client => `${client} stands in it twice`),
    ...(only ?? []).filter(client => !all.includes(client)).map(client => `${client} is not in it`),
  ]
  if (problems.length > 0) {
    throw new ConfigError('CLIENTS_UNAVAILABLE', {
      message: `the list of ${all.length} clients: ${problems.slice(0, 5).join('; ')}`,
      hint: 'Correct the configuration or --clients. Nothing was read or written.',
    })
  }
  return only === undefined ? all : [...new Set(only)]
}
