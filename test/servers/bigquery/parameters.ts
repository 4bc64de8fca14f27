import { invalidQuery } from './errors.ts'
import { type Json, list, object, text } from './json.ts'
import { duckType, literal, scalar, type Type } from './types.ts'
import { isDate } from './values.ts'

/** A query parameter: its type, and DuckDB's SQL for its value. */
export interface Parameter {
  readonly name: string
  readonly type: Type
  readonly sql: string
}

/** Reads the parameters of a query configuration. */
export function parametersOf(query: Json): Parameter[] {
  if (query.queryParameters === undefined) return []
  if (query.parameterMode === 'POSITIONAL' || query.parameterMode === 'positional') {
    throw invalidQuery('Positional parameters are not known to this local server')
  }
  return list(query.queryParameters).map(one => {
    const parameter = object(one)
    const name = text(parameter.name) ?? ''
    const type = typeOf(parameter.parameterType)
    return { name, type, sql: valueSql(type, plain(type, parameter.parameterValue, name)) }
  })
}

function typeOf(value: unknown): Type {
  const { type, arrayType, structTypes } = object(value)
  if (type === 'ARRAY') return { array: typeOf(arrayType) }
  if (type === 'STRUCT') {
    return {
      struct: list(structTypes).map(field => ({ name: text(object(field).name) ?? '', type: typeOf(object(field).type) })),
    }
  }
  const known = scalar(text(type) ?? '')
  if (known === undefined) throw invalidQuery(`A parameter of type ${String(type)} is not known to this local server`)
  return known
}

/** The value as JSON: scalars as text, what is absent as null. */
function plain(type: Type, value: unknown, name: string): unknown {
  const given = object(value)
  if (typeof type === 'string') {
    if (given.value === undefined || given.value === null) return null
    const written = String(given.value)
    if (!isValid(type, written)) throw invalidQuery(`Invalid value for parameter ${name}: ${written} is no ${type}`)
    return written
  }
  // An empty array and none at all look the same on the wire.
  if ('array' in type) return list(given.arrayValues).map(item => plain(type.array, item, name))
  if (given.structValues === undefined) return null
  const fields = object(given.structValues)
  return Object.fromEntries(type.struct.map(field => [field.name, plain(field.type, fields[field.name], name)]))
}

function isValid(type: string, value: string): boolean {
  if (type === 'INT64') return /^-?\d+$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)
  if (type === 'BOOL') return /^(true|false)$/i.test(value)
  if (type === 'NUMERIC') return /^-?\d{1,29}(\.\d{1,9}0*)?$/.test(value)
  return type !== 'DATE' || isDate(value)
}

function valueSql(type: Type, value: unknown): string {
  if (value === null) return `CAST(NULL AS ${duckType(type)})`
  if (typeof type === 'string') return `CAST(${literal(String(value))} AS ${duckType(type)})`
  return `CAST(from_json(${literal(JSON.stringify(value))}, ${literal(JSON.stringify(shape(type)))}) AS ${duckType(type)})`
}

/** The type as `from_json` wants it. */
function shape(type: Type): unknown {
  if (typeof type === 'string') return type === 'JSON' ? 'VARCHAR' : duckType(type)
  if ('array' in type) return [shape(type.array)]
  return Object.fromEntries(type.struct.map(field => [field.name, shape(field.type)]))
}
