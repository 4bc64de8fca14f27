import { ApiError } from './errors.ts'
import { type Json, list, object, text } from './json.ts'

/** The scalar types this server knows, under their GoogleSQL names. */
export type Scalar =
  | 'STRING'
  | 'INT64'
  | 'FLOAT64'
  | 'BOOL'
  | 'NUMERIC'
  | 'DATE'
  | 'DATETIME'
  | 'TIME'
  | 'TIMESTAMP'
  | 'JSON'
  | 'BYTES'

/** Any type of a value in a query. */
export type Type =
  | Scalar
  | { readonly array: Type }
  | { readonly struct: readonly { readonly name: string; readonly type: Type }[] }

/** One column of a table. */
export interface Field {
  readonly name: string
  readonly type: Scalar
  readonly mode: 'NULLABLE' | 'REQUIRED'
  readonly description?: string
}

const NAMES: Readonly<Record<string, Scalar>> = {
  STRING: 'STRING',
  INT64: 'INT64',
  INTEGER: 'INT64',
  INT: 'INT64',
  FLOAT64: 'FLOAT64',
  FLOAT: 'FLOAT64',
  BOOL: 'BOOL',
  BOOLEAN: 'BOOL',
  NUMERIC: 'NUMERIC',
  DECIMAL: 'NUMERIC',
  DATE: 'DATE',
  DATETIME: 'DATETIME',
  TIME: 'TIME',
  TIMESTAMP: 'TIMESTAMP',
  JSON: 'JSON',
  BYTES: 'BYTES',
}

const DUCKDB: Readonly<Record<Scalar, string>> = {
  STRING: 'VARCHAR',
  INT64: 'BIGINT',
  FLOAT64: 'DOUBLE',
  BOOL: 'BOOLEAN',
  NUMERIC: 'DECIMAL(38,9)',
  DATE: 'DATE',
  DATETIME: 'TIMESTAMP',
  TIME: 'TIME',
  TIMESTAMP: 'TIMESTAMP WITH TIME ZONE',
  JSON: 'JSON',
  BYTES: 'BLOB',
}

/** The type a name stands for, in either of its spellings. */
export function scalar(name: string): Scalar | undefined {
  return NAMES[name.toUpperCase()]
}

/** The type as DuckDB spells it. */
export function duckType(type: Type): string {
  if (typeof type === 'string') return DUCKDB[type]
  if ('array' in type) return `${duckType(type.array)}[]`
  return `STRUCT(${type.struct.map(field => `${quote(field.name)} ${duckType(field.type)}`).join(', ')})`
}

/** The names that schemas in answers carry: those of the time before GoogleSQL. */
export function legacyName(type: Scalar): string {
  const legacy: Partial<Record<Scalar, string>> = { INT64: 'INTEGER', FLOAT64: 'FLOAT', BOOL: 'BOOLEAN' }
  return legacy[type] ?? type
}

/** A DuckDB identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A DuckDB text literal. */
export function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

/** Reads the schema of a request. */
export function fieldsOf(schema: unknown): Field[] {
  const fields = list(object(schema).fields).map(field => fieldOf(object(field)))
  const seen = new Set<string>()
  for (const { name } of fields) {
    if (seen.has(name.toLowerCase())) throw new ApiError('invalid', `Duplicate field name: ${name}`)
    seen.add(name.toLowerCase())
  }
  return fields
}

function fieldOf(field: Json): Field {
  const name = text(field.name) ?? ''
  if (!/^[\p{L}_][\p{L}\p{N}_ -]{0,299}$/u.test(name)) {
    throw new ApiError('invalid', `Invalid field name ${JSON.stringify(name)}. Fields must contain the allowed characters`)
  }
  const type = scalar(text(field.type) ?? '')
  const mode = text(field.mode)?.toUpperCase() ?? 'NULLABLE'
  if (type === undefined || (mode !== 'NULLABLE' && mode !== 'REQUIRED')) {
    throw new ApiError('notImplemented', `Field ${name}: ${mode} ${String(field.type)} is not known to this local server`)
  }
  for (const detail of ['precision', 'scale', 'maxLength', 'defaultValueExpression', 'policyTags']) {
    if (field[detail] !== undefined) {
      throw new ApiError('notImplemented', `Field ${name}: ${detail} is not known to this local server`)
    }
  }
  const description = text(field.description)
  return { name, type, mode, ...(description === undefined ? {} : { description }) }
}

/** A column as answers show it. */
export function fieldResource({ name, type, mode, description }: Field): Json {
  return { name, type: legacyName(type), mode, ...(description === undefined ? {} : { description }) }
}
