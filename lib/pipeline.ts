import { type Day, isDay } from './chunk.ts'
import type { Connector } from './connector.ts'
import { ConfigError } from './errors.ts'
import type { Expr, Mapping, TotalsMapping } from './mapping.ts'
import { resolveThresholds, type Thresholds, thresholdProblems } from './monitor/thresholds.ts'
import { cronProblem, type Schedule } from './plan/schedule.ts'
import type { ClientColumn, Columns, ColumnsOf, ColumnType, Table } from './table.ts'

/** What must hold before a staged chunk may be published. */
export interface Checks {
  /** Share of extracted records that may be rejected before the chunk is held, 0 to 1. Default 0.01. */
  readonly rejects?: { readonly atMost: number }
  /**
   * Rows must be at least this share of what the same days held when last published, or the chunk is held. Default 0.5; 0 turns it off.
   */
  readonly volume?: { readonly atLeast: number }
  /**
   * No rows where there were rows before: `confirm` (default) reads again and believes two empty answers, `hold` reads again and then
   * waits for a person, `allow` believes the first.
   */
  readonly empty?: 'confirm' | 'hold' | 'allow'
  /**
   * A field that is read went missing, has another type, or a column got an undeclared value: `warn` (default) publishes and tells, `hold` waits
   * for a person, `fail` tries again and then fails. A field that no column reads is only told of.
   */
  readonly drift?: 'warn' | 'hold' | 'fail'
  /**
   * Records do not add up to what the source states, or it states nothing that can be read: `hold` (default) reads the chunk again, and then waits for a
   * person; `warn` publishes and tells. `atMost` is the share of a stated total that may be missing or too much, 0 to 1. Default 0.
   */
  readonly sourceTotals?: { readonly atMost?: number; readonly policy?: 'hold' | 'warn' }
}

/** A pipeline that another one waits for: a chunk is read once its days are published here, for the same client. */
export interface Upstream {
  readonly pipeline: string
  /** Share of the days of a chunk that need not be published, from 0 to below 1. Default 0. */
  readonly gaps: number
  /** What becomes of a chunk whose days can be published no more without a person: it stays and waits (default), or it fails, so that its run can end. */
  readonly policy: 'wait' | 'skip'
}

/** What `definePipeline` takes. */
export interface PipelineOptions<R extends object, C extends Columns & ClientColumn, S extends object = never> {
  /** Lower-case words joined by hyphens; names the pipeline in the ledger, metrics and logs. */
  readonly name: string
  readonly description?: string
  readonly source: Connector<R, S>
  readonly table: Table<C>
  /** One expression per column. */
  readonly map: NoInfer<Mapping<R, C>>
  /** How many days one chunk covers at most. Default 1. Short windows bound memory and lose little when they fail. */
  readonly chunk?: { readonly days: number }
  readonly checks?: Checks
  /** Columns summed exactly while rows stream by, and compared with the table inside the commit. */
  readonly totals?: readonly NoInfer<ColumnsOf<C, 'INT64' | 'NUMERIC'>>[]
  /**
   * Where the totals stand that the source itself states, by column: what is read of a chunk is compared with them before the commit. Only columns that are
   * among `totals`. Default none.
   */
  readonly sourceTotals?: NoInfer<TotalsMapping<S, C>>
  /** When it is due by itself. Default never: then it reads what a backfill asks for. */
  readonly schedule?: readonly Schedule[]
  /** Pipelines that must have published the days of a chunk, for its client, before it is read. Default none. */
  readonly after?: readonly (string | (Pick<Upstream, 'pipeline'> & Partial<Upstream>))[]
  /**
   * Hours after the end of a day, in the time zone of its client, by which it is to be published. Default 36 with a schedule; without one
   * nothing is promised.
   */
  readonly freshness?: { readonly hours: number }
  /** Days that are like no others: monitors do not compare them, nor others with them. */
  readonly holidays?: readonly Day[]
  /** Bytes that the warehouse may bill. Default: any number. */
  readonly budget?: Budget
  /** From when on monitors speak; see `docs/monitoring.md`. */
  readonly thresholds?: Partial<Thresholds>
}

/** What the warehouse may bill before somebody is told. */
export interface Budget {
  /** Bytes within 24 hours. */
  readonly bytesPerDay?: number
  /** Bytes within a calendar month of UTC; somebody is told as well when most of them are used. */
  readonly bytesPerMonth?: number
}

/** An expression of some pipeline, its record type forgotten. */
export type AnyExpr = Expr<string, ColumnType, boolean, never>

/** A declared pipeline: one connector into one table. */
export interface Pipeline {
  readonly name: string
  readonly description?: string
  readonly source: Connector<unknown>
  readonly table: Table
  readonly map: Readonly<Record<string, AnyExpr>>
  readonly chunk: { readonly days: number }
  readonly checks: {
    readonly rejects: { readonly atMost: number }
    readonly volume: { readonly atLeast: number }
    readonly empty: 'confirm' | 'hold' | 'allow'
    readonly drift: 'warn' | 'hold' | 'fail'
    readonly sourceTotals: { readonly atMost: number; readonly policy: 'hold' | 'warn' }
  }
  readonly totals: readonly string[]
  readonly sourceTotals: Readonly<Record<string, AnyExpr>>
  readonly schedule: readonly Schedule[]
  readonly after: readonly Upstream[]
  /** Null: nothing is promised. */
  readonly freshness: { readonly hours: number } | null
  readonly holidays: readonly Day[]
  readonly budget: Budget
  readonly thresholds: Thresholds
}

/**
 * Declares a pipeline: connector, table, and one expression per column. What the compiler already refuses is checked again here, for
 * mappings built elsewhere and for JavaScript. Throws `PIPELINE_INVALID` with every contradiction found.
 */
export function definePipeline<R extends object, const C extends Columns & ClientColumn, S extends object = never>(
  options: PipelineOptions<R, C, S>,
): Pipeline {
  const { name, description, source, table, map, chunk, checks, totals, schedule, after } = options
  const pipeline: Pipeline = {
    name,
    ...(description === undefined ? {} : { description }),
    source,
    table,
    map,
    chunk: { days: chunk?.days ?? 1 },
    checks: {
      rejects: { atMost: checks?.rejects?.atMost ?? 0.01 },
      volume: { atLeast: checks?.volume?.atLeast ?? 0.5 },
      empty: checks?.empty ?? 'confirm',
      drift: checks?.drift ?? 'warn',
      sourceTotals: { atMost: 0, policy: 'hold', ...checks?.sourceTotals },
    },
    totals: totals ?? [],
    sourceTotals: { ...options.sourceTotals },
    schedule: schedule ?? [],
    after: (after ?? []).map(upstream),
    freshness: options.freshness ?? ((schedule ?? []).length > 0 ? { hours: 36 } : null),
    holidays: options.holidays ?? [],
    budget: options.budget ?? {},
    thresholds: resolveThresholds(options.thresholds),
  }
  const problems = [...problemsOf(pipeline)]
  if (problems.length > 0) {
    throw new ConfigError('PIPELINE_INVALID', {
      message: `pipeline ${name}: ${problems.join('; ')}`,
      hint: 'Correct the declaration. Nothing was read or written.',
    })
  }
  return pipeline
}

function upstream(edge: string | (Pick<Upstream, 'pipeline'> & Partial<Upstream>)): Upstream {
  return typeof edge === 'string' ? { pipeline: edge, gaps: 0, policy: 'wait' } : { gaps: 0, policy: 'wait', ...edge }
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/

function* problemsOf(pipeline: Pipeline): Generator<string> {
  const { name, table, map, chunk, checks, totals, sourceTotals } = pipeline
  if (!NAME.test(name)) yield 'its name must be lower-case words joined by hyphens'
  for (const column of Object.keys(table.columns)) if (!Object.hasOwn(map, column)) yield `no expression for column ${column}`
  for (const [column, expr] of Object.entries(map)) {
    const declared = table.columns[column]
    if (declared === undefined) yield `${column} is not a column of ${table.name}`
    else if (declared.type !== expr.type) yield `column ${column} is ${declared.type}, its expression makes ${expr.type}`
    else if (expr.nullable && !declared.nullable) yield `column ${column} is required, its expression may give null`
    const problem = problemOf(expr)
    if (problem !== undefined) yield `column ${column}: ${problem}`
  }
  for (const column of totals) {
    const declared = table.columns[column]
    const summable = declared?.type === 'INT64' || declared?.type === 'NUMERIC'
    if (!summable || declared.nullable) yield `total ${column} is not a required INT64 or NUMERIC column`
  }
  if (new Set(totals).size !== totals.length) yield 'totals names a column twice'
  for (const [column, expr] of Object.entries(sourceTotals)) {
    const declared = table.columns[column]
    if (!totals.includes(column)) yield `source total ${column} is not among totals`
    else if (declared?.type !== expr.type || expr.nullable)
      yield `source total ${column} is ${declared?.type}, its expression makes ${expr.nullable ? 'null or ' : ''}${expr.type}`
    const problem = problemOf(expr)
    if (problem !== undefined) yield `source total ${column}: ${problem}`
  }
  if (!['confirm', 'hold', 'allow'].includes(checks.empty)) yield `checks.empty ${checks.empty} is not confirm, hold or allow`
  if (!['warn', 'hold', 'fail'].includes(checks.drift)) yield `checks.drift ${checks.drift} is not warn, hold or fail`
  if (!['hold', 'warn'].includes(checks.sourceTotals.policy))
    yield `checks.sourceTotals.policy ${checks.sourceTotals.policy} is not hold or warn`
  if (!Number.isInteger(chunk.days) || chunk.days < 1 || chunk.days > 366) yield `chunk.days ${chunk.days} is not 1 to 366`
  for (const [check, share] of [
    ['rejects.atMost', checks.rejects.atMost],
    ['volume.atLeast', checks.volume.atLeast],
    ['sourceTotals.atMost', checks.sourceTotals.atMost],
  ] as const) {
    if (!(share >= 0 && share <= 1)) yield `checks.${check} ${share} is not a share from 0 to 1`
  }
  yield* timeProblemsOf(pipeline)
  yield* watchProblemsOf(pipeline)
}

/** What is wrong with when it is due, and with what it waits for. Whether those pipelines exist, the configuration knows. */
function* timeProblemsOf({ schedule, after }: Pipeline): Generator<string> {
  for (const { name, cron, lookbackDays } of schedule) {
    if (!NAME.test(name)) yield `the name of schedule ${name} must be lower-case words joined by hyphens`
    if (name === 'missing' || name === 'doubtful')
      yield `a schedule cannot be named ${name}: days that no schedule wants are read for that reason`
    const problem = cronProblem(cron)
    if (problem !== undefined) yield `schedule ${name}: cron ${cron} ${problem}`
    if (!Number.isInteger(lookbackDays) || lookbackDays < 1 || lookbackDays > 366)
      yield `schedule ${name}: lookbackDays ${lookbackDays} is not 1 to 366`
  }
  for (const [name, same] of Map.groupBy(schedule, ({ name }) => name)) {
    if (same.length > 1) yield `two schedules are named ${name}`
  }
  for (const { pipeline, gaps, policy } of after) {
    if (!(gaps >= 0 && gaps < 1)) yield `after ${pipeline}: gaps ${gaps} is not a share from 0 to below 1`
    if (!['wait', 'skip'].includes(policy)) yield `after ${pipeline}: policy ${policy} is not wait or skip`
  }
  for (const [name, same] of Map.groupBy(after, ({ pipeline }) => pipeline)) {
    if (same.length > 1) yield `after names ${name} twice`
  }
}

/** What is wrong with what the monitors hold against it. */
function* watchProblemsOf({ freshness, holidays, budget, thresholds }: Pipeline): Generator<string> {
  if (freshness !== null && !(freshness.hours >= 0 && freshness.hours <= 1_000)) {
    yield `freshness.hours ${freshness.hours} is not 0 to 1,000`
  }
  for (const day of holidays) if (!isDay(day)) yield `the holiday ${day} is not a day, YYYY-MM-DD`
  for (const name of ['bytesPerDay', 'bytesPerMonth'] as const) {
    if (budget[name] !== undefined && !(budget[name] > 0)) yield `budget.${name} ${budget[name]} is not a number above 0`
  }
  yield* thresholdProblems(thresholds)
}

/** What is wrong with one expression, whatever its column. */
function problemOf({ operation, path, unit, value, why }: AnyExpr): string | undefined {
  if (operation === 'custom') return why?.trim() ? undefined : 'a custom expression says why it is needed'
  if (operation === 'constant') {
    const exact = typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'boolean' || value?.isWellFormed?.()
    return exact ? undefined : `the constant ${value} is not text, a whole number, or a boolean`
  }
  if (operation === 'client' && path === undefined) return undefined
  if (!/^[^.]+(\.[^.]+)*$/.test(path ?? '')) return `${path} is not a path`
  return unit === undefined || ['s', 'ms', 'us'].includes(unit) ? undefined : `unit ${unit} is not s, ms or us`
}
