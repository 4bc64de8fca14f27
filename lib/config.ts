import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { ConfigError, HeadraceError, TransientError, withoutCredentials } from './errors.ts'
import type { Ledger } from './ledger/ledger.ts'
import { type LineageTarget, targetProblems } from './lineage/lineage.ts'
import { type Options, resolveOptions } from './options.ts'
import type { Pipeline } from './pipeline.ts'
import { isTimeZone } from './plan/schedule.ts'
import type { Warehouse } from './warehouse/warehouse.ts'

/** Whose data it is, and on which calendar its days are. */
export interface Client {
  readonly id: string
  /** A name of the IANA database, such as `Europe/Berlin`. */
  readonly timeZone: string
}

/** A client as a configuration names it: the id alone where its time zone is that of the configuration. */
export type ClientEntry = string | { readonly id: string; readonly timeZone?: string }

/** What a configuration file exports by default. */
export interface ConfigOptions {
  readonly pipelines: readonly Pipeline[]
  /** Whose data is pulled: a list, or a function that fetches it. */
  readonly clients: readonly ClientEntry[] | ((signal: AbortSignal) => Promise<readonly ClientEntry[]>)
  /** The time zone of clients that have none of their own: their schedules and days are on its clock. Default `UTC`. */
  readonly timeZone?: string
  readonly warehouse: Warehouse
  readonly ledger: Ledger
  /** Where a daemon tells of what is wrong with the data: an address that takes messages as Slack does. It is a secret. Default nowhere. */
  readonly alerts?: { readonly webhook: string }
  /** Where events of OpenLineage go, about every attempt at a chunk. Default nowhere. */
  readonly lineage?: LineageTarget
  /** Settings that differ from their defaults; see `docs/configuration.md`. */
  readonly settings?: Partial<Options>
}

/** A configuration that was checked. */
export interface Config extends Omit<ConfigOptions, 'settings' | 'timeZone'> {
  readonly timeZone: string
  readonly settings: Options
}

/** Declares a configuration. Throws `CONFIG_INVALID` with everything that is wrong with it. */
export function defineConfig(options: ConfigOptions): Config {
  const problems = [...problemsOf(options)]
  if (problems.length > 0) throw invalid('the configuration', problems)
  return { ...options, timeZone: options.timeZone ?? 'UTC', settings: resolveOptions(options.settings) }
}

function* problemsOf({
  pipelines,
  clients,
  timeZone = 'UTC',
  warehouse,
  ledger,
  alerts,
  lineage,
}: Partial<ConfigOptions>): Generator<string> {
  if (typeof warehouse?.prepare !== 'function') yield 'its warehouse is not one: use duckdb({ path }) or bigquery()'
  if (typeof ledger?.beginRun !== 'function') yield 'its ledger is not one: use sqlite({ path }) or postgres({ url })'
  if (typeof clients !== 'function' && !Array.isArray(clients)) yield 'its clients are neither a list nor a function'
  if (!isTimeZone(timeZone)) yield `its timeZone ${timeZone} is not in the IANA database`
  // The address is not repeated: whoever has it can write there.
  if (alerts !== undefined && !/^https?:/.test(URL.parse(alerts.webhook)?.protocol ?? '')) {
    yield 'its alerts.webhook is not an address with http or https'
  }
  if (lineage !== undefined) yield* targetProblems(lineage)
  if (!Array.isArray(pipelines) || pipelines.length === 0) {
    yield 'it has no pipelines'
    return
  }
  const names = new Set<string>()
  const tables = new Set<string>()
  for (const { name, table } of pipelines as readonly Pipeline[]) {
    if (names.has(name)) yield `two pipelines are named ${name}`
    names.add(name)
    // Rejects have a table of their own, and not every warehouse tells upper from lower case.
    const written = [table.name, `${table.name}_rejects`].map(text => text.toLowerCase())
    const twice = written.find(text => tables.has(text))
    if (twice !== undefined) yield `two pipelines write ${twice}: each would delete the other's rows`
    for (const text of written) tables.add(text)
  }
  yield* orderProblems(pipelines)
}

/** Pipelines that wait for one that is not there, or for themselves, by way of others or not. */
function* orderProblems(pipelines: readonly Pick<Pipeline, 'name' | 'after'>[]): Generator<string> {
  const upstreams = new Map(pipelines.map(({ name, after }) => [name, after.map(({ pipeline }) => pipeline)]))
  const over = new Set<string>()
  function* visit(name: string, path: readonly string[]): Generator<string> {
    if (path.includes(name)) yield `pipelines wait for each other: ${[...path.slice(path.indexOf(name)), name].join(' -> ')}`
    else if (!over.has(name)) {
      for (const upstream of upstreams.get(name) ?? []) {
        if (upstreams.has(upstream)) yield* visit(upstream, [...path, name])
        else yield `pipeline ${name} comes after ${upstream}, which there is not`
      }
      over.add(name)
    }
  }
  for (const name of upstreams.keys()) yield* visit(name, [])
}

function invalid(what: string, problems: readonly string[]): ConfigError {
  return new ConfigError('CONFIG_INVALID', {
    message: `${what}: ${problems.join('; ')}`,
    hint: 'Correct the configuration. Nothing was read or written.',
  })
}

/** Loads a configuration file, TypeScript or JavaScript. Every way it can fail is a `ConfigError` that names the file. */
export async function loadConfig(file: string, signal: AbortSignal): Promise<Config> {
  const path = resolve(file)
  if ((await stat(path).catch(() => undefined)) === undefined) {
    throw new ConfigError('CONFIG_NOT_FOUND', {
      message: `there is no configuration ${path}`,
      hint: 'Name one with --config, or run headrace where headrace.config.ts is.',
    })
  }
  let loaded: { readonly default?: unknown }
  try {
    loaded = await outcome(import(pathToFileURL(path).href), signal)
  } catch (error) {
    if (error instanceof HeadraceError) throw error
    throw new ConfigError('CONFIG_FAILED', {
      message: `${path} could not be loaded: ${error instanceof Error ? `${error.name}: ${error.message}` : `it threw ${inspect(error)}`}${place(error, path)}`,
      hint: 'Correct the file. Nothing was read or written.',
      cause: error,
    })
  }
  if (!isConfig(loaded.default)) throw invalid(path, ['its default export is not what defineConfig() returns'])
  return loaded.default
}

/**
 * What becomes of code that is not headrace's, which may take forever: it is left alone when headrace is told to stop, and when nothing in
 * this process could ever bring it to an end.
 */
async function outcome<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const early = Promise.withResolvers<never>()
  const stopped = (): void => early.reject(signal.reason)
  const idle = (): void => early.reject(new Error('it waits for something that never happens'))
  if (signal.aborted) stopped()
  signal.addEventListener('abort', stopped)
  process.once('beforeExit', idle)
  try {
    return await Promise.race([work, early.promise])
  } catch (error) {
    if (!signal.aborted) throw error
    throw new TransientError('ABORTED', { message: 'stopped before anything was read', hint: 'Nothing was written.' })
  } finally {
    signal.removeEventListener('abort', stopped)
    process.removeListener('beforeExit', idle)
  }
}

/** The line an error came from, in the configuration or else in what it imports, if the stack says so. */
function place(error: unknown, path: string): string {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const places = [...stack.matchAll(/(?:^|at |\()(?:file:\/\/)?(\/[^():\n]+):(\d+)(?::\d+)?\)?$/gm)].filter(
    found => found[1] !== import.meta.filename && !found[1]?.includes('/node_modules/'),
  )
  const [, file, line] = places.find(found => found[1] === path) ?? places[0] ?? []
  if (line === undefined) return ''
  return file === path ? ` (line ${line})` : ` (${file}, line ${line})`
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
  if (!(error instanceof Error)) return inspect(error)
  // A refused connection to a name with two addresses has a code and no message.
  const message = error.message || ('code' in error ? String(error.code) : error.name)
  return withoutCredentials(error.cause === undefined ? message : `${message} (${reasons(error.cause)})`)
}

/** The pipeline of that name, or the only one there is; else a `ConfigError` that lists those there are. */
export function findPipeline({ pipelines }: Pick<Config, 'pipelines'>, name: string | undefined): Pipeline {
  const found = pipelines.filter(pipeline => name === undefined || pipeline.name === name)
  const [first] = found
  if (first !== undefined && found.length === 1) return first
  const names = pipelines.map(pipeline => pipeline.name).join(', ')
  throw new ConfigError('USAGE', {
    message: name === undefined ? `which pipeline? There are ${names}` : `there is no pipeline ${name}, only ${names}`,
    hint: 'Name one with --pipeline. Nothing was read or written.',
  })
}

/** The clients of a configuration, all of them or those asked for by id. */
export async function resolveClients(
  { clients, timeZone = 'UTC' }: Pick<ConfigOptions, 'clients' | 'timeZone'>,
  only: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<readonly Client[]> {
  let entries: readonly ClientEntry[]
  try {
    entries = typeof clients === 'function' ? await outcome((async () => clients(signal))(), signal) : clients
  } catch (error) {
    if (error instanceof HeadraceError) throw error
    throw unavailable(`could not be obtained: ${reasons(error)}`, error)
  }
  if (!Array.isArray(entries)) throw unavailable(`is ${inspect(entries).slice(0, 100)}, not a list`)
  const known = new Map<string, Client>()
  const problems = entries.length === 0 ? ['it is empty'] : []
  for (const entry of entries as readonly ClientEntry[]) {
    const client = typeof entry === 'string' ? { id: entry, timeZone } : { timeZone, ...entry }
    if (typeof client.id !== 'string' || client.id.trim() === '') problems.push(`${inspect(entry)} is not a client id`)
    else if (known.has(client.id)) problems.push(`${inspect(client.id)} stands in it twice`)
    else if (!isTimeZone(client.timeZone)) {
      problems.push(`the time zone ${inspect(client.timeZone)} of ${inspect(client.id)} is not in the IANA database`)
    } else known.set(client.id, client)
  }
  if (problems.length > 0) throw unavailable(`has ${entries.length} entries: ${listed(problems)}`)
  const chosen = new Set(only ?? known.keys())
  const unknown = [...chosen].filter(id => !known.has(id))
  if (unknown.length > 0) {
    throw new ConfigError('USAGE', {
      message: `--clients ${listed(unknown)}: not among the ${entries.length} clients of the configuration`,
      hint: 'Check the spelling. Nothing was read or written.',
    })
  }
  return [...chosen].flatMap(id => known.get(id) ?? [])
}

function unavailable(problem: string, cause?: unknown): ConfigError {
  return new ConfigError('CLIENTS_UNAVAILABLE', {
    message: `the list of clients ${problem}`,
    hint: 'Correct `clients` of the configuration. Nothing was read or written.',
    cause,
  })
}

/** The first few of many. */
function listed(texts: readonly string[]): string {
  return texts.length > 5 ? `${texts.slice(0, 5).join('; ')} and ${texts.length - 5} more` : texts.join('; ')
}
