import { ConfigError } from './errors.ts'

/** The column types headrace knows; the names are BigQuery's. */
export type ColumnType = 'STRING' | 'INT64' | 'NUMERIC' | 'FLOAT64' | 'BOOL' | 'DATE' | 'TIMESTAMP' | 'JSON'

/**
 * How a value of each column type is held in a row. Exact everywhere: INT64 is a number while that is safe and decimal text
 * past 2^53; NUMERIC is decimal text with at most 9 decimals, never a float; DATE is `YYYY-MM-DD`; TIMESTAMP is an instant in
 * UTC with microseconds, `2026-01-31T05:06:07.000000Z`; JSON is JSON text.
 */
export interface ColumnValues {
  STRING: string
  INT64: number | string
  NUMERIC: string
  FLOAT64: number
  BOOL: boolean
  DATE: string
  TIMESTAMP: string
  JSON: string
}

/** What a column demands of its values, besides type and presence. */
export interface Constraints {
  /** Smallest value allowed. Decimal text for a bound that a number cannot carry exactly. */
  readonly minimum?: number | string
  /** Largest value allowed. */
  readonly maximum?: number | string
  /** The only values allowed. */
  readonly enum?: readonly (string | number)[]
  /** Longest text allowed, in characters (Unicode code points, so that an emoji is one). */
  readonly maxLength?: number
  /** A regular expression, with the flag `u`, that the text must match somewhere; anchor it with ^ and $. */
  readonly pattern?: string
}

/** One declared column. */
export interface Column<T extends ColumnType = ColumnType, N extends boolean = boolean> {
  readonly type: T
  readonly nullable: N
  readonly constraints: Constraints
  /** One sentence for whoever reads the table. */
  readonly description?: string
}

/** The columns of a table, by name, in order. */
export type Columns = Readonly<Record<string, Column>>

/** Every table says whose row it is. */
export interface ClientColumn {
  readonly client_id: Column<'STRING', false>
}

/** The names of the required columns of `C` that have one of the types `T`. */
export type ColumnsOf<C extends Columns, T extends ColumnType> = {
  [K in keyof C & string]: C[K]['type'] extends T ? (C[K]['nullable'] extends false ? K : never) : never
}[keyof C & string]

/** One row of a table with columns `C`. */
export type Row<C extends Columns = Columns> = {
  -readonly [K in keyof C]: ColumnValues[C[K]['type']] | (C[K]['nullable'] extends false ? never : null)
}

/** A declared table. */
export interface Table<C extends Columns = Columns> {
  /** `dataset.table`; in DuckDB the dataset is a schema. */
  readonly name: string
  readonly description?: string
  readonly columns: C
  /** The DATE column whose days are replaced as a whole. */
  readonly partitionBy: string
  readonly clusterBy: readonly string[]
  /** The columns that identify a row; empty when nothing does. */
  readonly key: readonly string[]
}

type Described = { readonly description?: string }
type Bounds = Pick<Constraints, 'minimum' | 'maximum'>

function column<T extends ColumnType>(type: T, options: Constraints & Described = {}): Column<T, false> {
  const { description, ...constraints } = options
  return { type, nullable: false, constraints, ...(description === undefined ? {} : { description }) }
}

/** Text. `maxLength`, `pattern` and `enum` are checked on every row. */
export function string(
  options?: Pick<Constraints, 'maxLength' | 'pattern'> & { readonly enum?: readonly string[] } & Described,
): Column<'STRING', false> {
  return column('STRING', options)
}
/** A whole number of 64 bits. */
export function int64(options?: Bounds & { readonly enum?: readonly number[] } & Described): Column<'INT64', false> {
  return column('INT64', options)
}
/** An exact decimal: up to 29 digits before the point, 9 after. For money. */
export function numeric(options?: Bounds & Described): Column<'NUMERIC', false> {
  return column('NUMERIC', options)
}
/** A double. Not for money. */
export function float64(
  options?: { readonly minimum?: number; readonly maximum?: number } & Described,
): Column<'FLOAT64', false> {
  return column('FLOAT64', options)
}
/** True or false. */
export function bool(options?: Described): Column<'BOOL', false> {
  return column('BOOL', options)
}
/** A calendar day. */
export function date(options?: Described): Column<'DATE', false> {
  return column('DATE', options)
}
/** An instant, to the microsecond. */
export function timestamp(options?: Described): Column<'TIMESTAMP', false> {
  return column('TIMESTAMP', options)
}
/** Any JSON value, kept as JSON. */
export function json(options?: Described): Column<'JSON', false> {
  return column('JSON', options)
}
/** The same column, allowed to be null. */
export function nullable<T extends ColumnType>(of: Column<T, boolean>): Column<T, true> {
  return { ...of, nullable: true }
}

/** What `defineTable` takes besides name and columns. */
export interface TableOptions<C extends Columns> {
  /** A required DATE column. A chunk replaces whole days of it. */
  readonly partitionBy: ColumnsOf<C, 'DATE'>
  /** Physical order within a partition, where the warehouse has one. Default `['client_id']`. */
  readonly clusterBy?: readonly (keyof C & string)[]
  /** Must contain `client_id` and the partition column. Without a key, equal rows are all kept. */
  readonly key?: readonly (keyof C & string)[]
  readonly description?: string
}

const IDENTIFIER = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,254}$/

/**
 * Declares a table once: the compiler, the warehouse schema, the JSON Schema and the documentation all follow from it.
 * Throws `TABLE_INVALID` with every contradiction found.
 */
export function defineTable<const C extends Columns & ClientColumn>(
  name: string,
  columns: C,
  options: NoInfer<TableOptions<C>>,
): Table<C> {
  const table: Table<C> = {
    name,
    columns,
    partitionBy: options.partitionBy,
    clusterBy: options.clusterBy ?? ['client_id'],
    key: options.key ?? [],
    ...(options.description === undefined ? {} : { description: options.description }),
  }
  const problems = [...problemsOf(table)]
  if (problems.length > 0) {
    throw new ConfigError('TABLE_INVALID', {
      message: `table ${name}: ${problems.join('; ')}`,
      hint: 'Correct the declaration. Nothing was read or written.',
    })
  }
  return table
}

function* problemsOf(table: Table): Generator<string> {
  const names = Object.keys(table.columns)
  if (!/^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$/.test(table.name)) yield 'its name must be dataset.table'
  if (/^headrace\./i.test(table.name)) yield 'the dataset headrace is where headrace keeps its own tables'
  const seen = new Set<string>()
  for (const name of names) {
    if (!IDENTIFIER.test(name)) yield `column ${JSON.stringify(name)} is not an identifier`
    if (seen.has(name.toLowerCase())) yield `column ${name} appears twice but for its case`
    seen.add(name.toLowerCase())
  }
  const client = table.columns.client_id
  if (client?.type !== 'STRING' || client.nullable) yield 'it needs a required STRING column client_id'
  const partition = table.columns[table.partitionBy]
  if (partition?.type !== 'DATE' || partition.nullable) yield `partitionBy ${table.partitionBy} is not a required DATE column`
  for (const [what, list] of [
    ['clusterBy', table.clusterBy],
    ['key', table.key],
  ] as const) {
    for (const name of list) if (!names.includes(name)) yield `${what} names ${name}, which is not a column`
    if (new Set(list).size !== list.length) yield `${what} names a column twice`
  }
  if (table.key.length > 0) {
    for (const name of ['client_id', table.partitionBy]) {
      if (!table.key.includes(name)) yield `key must contain ${name}: it holds within one client and day, not across them`
    }
  }
  for (const name of table.key) if (table.columns[name]?.nullable) yield `key column ${name} is nullable`
  for (const [name, column] of Object.entries(table.columns)) {
    for (const problem of constraintProblems(column)) yield `column ${name}: ${problem}`
  }
}

function* constraintProblems({ type, constraints }: Column): Generator<string> {
  const { minimum, maximum, enum: values, maxLength, pattern } = constraints
  if (pattern !== undefined && !isRegExp(pattern)) yield 'pattern is not a regular expression with the flag u'
  if (maxLength !== undefined && !(Number.isInteger(maxLength) && maxLength >= 0)) yield `maxLength ${maxLength} is not a length`
  if (values?.length === 0) yield 'enum allows no value at all'
  for (const value of values ?? []) {
    if (type === 'INT64' && !Number.isSafeInteger(value)) yield `enum value ${value} is not an exact whole number`
  }
  for (const bound of [minimum, maximum]) {
    if (bound !== undefined && !isBound(type, bound)) yield `bound ${bound} is not an exact decimal; write it as text`
  }
  if (Number(minimum) > Number(maximum)) yield `minimum ${minimum} is above maximum ${maximum}`
}

/** Whether a bound is one that values of the type can be compared with exactly. */
function isBound(type: ColumnType, bound: number | string): boolean {
  if (type === 'FLOAT64') return Number.isFinite(bound)
  if (Math.abs(Number(bound)) > Number.MAX_SAFE_INTEGER && typeof bound === 'number') return false
  return /^-?\d{1,29}(\.\d{1,9})?$/.test(String(bound))
}

function isRegExp(source: string): boolean {
  try {
    new RegExp(source, 'u')
    return true
  } catch {
    return false
  }
}

/** One field of the warehouse schema, in the terms BigQuery uses. */
export interface WarehouseField {
  readonly name: string
  readonly type: ColumnType
  readonly mode: 'REQUIRED' | 'NULLABLE'
  readonly description?: string
}

/** The table as a warehouse sees it: names, types, modes. Constraints stay with headrace. */
export function warehouseSchema(table: Table): WarehouseField[] {
  return Object.entries(table.columns).map(([name, column]) => ({
    name,
    type: column.type,
    mode: column.nullable ? 'NULLABLE' : 'REQUIRED',
    ...(column.description === undefined ? {} : { description: column.description }),
  }))
}

/** A JSON Schema, as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown }

const BASE: Readonly<Record<ColumnType, JsonSchema>> = {
  STRING: { type: ['string'] },
  INT64: { type: ['integer', 'string'] },
  NUMERIC: { type: ['string'] },
  FLOAT64: { type: ['number'] },
  BOOL: { type: ['boolean'] },
  DATE: { type: ['string'], format: 'date' },
  TIMESTAMP: { type: ['string'], format: 'date-time' },
  JSON: { type: ['string'] },
}

/** Text forms of numbers; JSON Schema bounds do not see them, so they have keywords of their own. */
const TEXT_NUMBER: Partial<Record<ColumnType, string>> = {
  INT64: '^-?[0-9]{16,19}$',
  NUMERIC: '^-?[0-9]{1,29}(\\.[0-9]{1,9})?$',
}

function columnSchema({ type, nullable, constraints, description }: Column): JsonSchema {
  const { minimum, maximum, enum: values, pattern = TEXT_NUMBER[type], maxLength } = constraints
  const base = BASE[type]
  const types = nullable ? [...(base.type as string[]), 'null'] : (base.type as string[])
  const exact = type === 'NUMERIC' || type === 'INT64'
  return {
    ...base,
    type: types.length === 1 ? types[0] : types,
    ...(pattern === undefined ? {} : { pattern }),
    ...(maxLength === undefined ? {} : { maxLength }),
    ...(values === undefined ? {} : { enum: nullable ? [...values, null] : values }),
    ...(minimum === undefined || type === 'NUMERIC' ? {} : { minimum: Number(minimum) }),
    ...(maximum === undefined || type === 'NUMERIC' ? {} : { maximum: Number(maximum) }),
    ...(minimum === undefined || !exact ? {} : { decimalMinimum: String(minimum) }),
    ...(maximum === undefined || !exact ? {} : { decimalMaximum: String(maximum) }),
    ...(description === undefined ? {} : { description }),
  }
}

/**
 * The JSON Schema (2020-12) of one row. `decimalMinimum` and `decimalMaximum` are headrace's own keywords: bounds for numbers that are
 * held as decimal text, compared exactly. A validator that does not know them ignores them.
 */
export function jsonSchema(table: Table): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: table.name,
    ...(table.description === undefined ? {} : { description: table.description }),
    type: 'object',
    properties: Object.fromEntries(Object.entries(table.columns).map(([name, column]) => [name, columnSchema(column)])),
    required: Object.keys(table.columns),
    additionalProperties: false,
  }
}
