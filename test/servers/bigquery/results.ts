import type { DuckDBType } from '@duckdb/node-api'
import { DuckDBListType, DuckDBStructType, DuckDBTypeId } from '@duckdb/node-api'
import type { Session } from './duck.ts'
import { ApiError, invalidQuery } from './errors.ts'
import { integer, type Json } from './json.ts'

/** The rows of a finished query, as they travel. */
export interface ResultSet {
  readonly fields: readonly Json[]
  readonly rows: readonly Json[]
}

const LEGACY: Partial<Record<DuckDBTypeId, string>> = {
  [DuckDBTypeId.BOOLEAN]: 'BOOLEAN',
  [DuckDBTypeId.TINYINT]: 'INTEGER',
  [DuckDBTypeId.SMALLINT]: 'INTEGER',
  [DuckDBTypeId.INTEGER]: 'INTEGER',
  [DuckDBTypeId.BIGINT]: 'INTEGER',
  [DuckDBTypeId.UBIGINT]: 'INTEGER',
  [DuckDBTypeId.HUGEINT]: 'INTEGER',
  [DuckDBTypeId.FLOAT]: 'FLOAT',
  [DuckDBTypeId.DOUBLE]: 'FLOAT',
  [DuckDBTypeId.DECIMAL]: 'NUMERIC',
  [DuckDBTypeId.VARCHAR]: 'STRING',
  [DuckDBTypeId.DATE]: 'DATE',
  [DuckDBTypeId.TIMESTAMP]: 'DATETIME',
  [DuckDBTypeId.TIMESTAMP_TZ]: 'TIMESTAMP',
  [DuckDBTypeId.TIME]: 'TIME',
  [DuckDBTypeId.BLOB]: 'BYTES',
  // NULL without a type is an INT64 to GoogleSQL.
  [DuckDBTypeId.SQLNULL]: 'INTEGER',
}

/** Runs a query and keeps its rows the way answers carry them: every scalar as text. */
export async function fetchResult(session: Session, sql: string): Promise<ResultSet> {
  const reader = await session.connection.runAndReadAll(sql)
  const names = reader.columnNames()
  const types = reader.columnTypes()
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name.toLowerCase())) {
      throw invalidQuery(`Duplicate column names in the result are not supported. Found duplicate(s): ${name}`)
    }
    seen.add(name.toLowerCase())
  }
  return {
    fields: names.map((name, index) => field(name, types[index])),
    rows: reader.getRowsJson().map(row => ({ f: row.map((value, index) => ({ v: cell(value, types[index]) })) })),
  }
}

function field(name: string, type: DuckDBType | undefined): Json {
  if (type instanceof DuckDBListType) return { ...field(name, type.valueType), mode: 'REPEATED' }
  if (type instanceof DuckDBStructType) {
    const fields = type.entryNames.map((entry, index) => field(entry, type.entryTypes[index]))
    return { name, type: 'RECORD', mode: 'NULLABLE', fields }
  }
  const legacy = type === undefined ? undefined : type.alias === 'JSON' ? 'JSON' : LEGACY[type.typeId]
  if (legacy === undefined) throw invalidQuery(`Column ${name} has type ${String(type)}, which this local server does not know`)
  return { name, type: legacy, mode: 'NULLABLE' }
}

function cell(value: unknown, type: DuckDBType | undefined): unknown {
  if (type instanceof DuckDBListType) {
    const { valueType } = type
    return (Array.isArray(value) ? value : []).map(item => {
      if (item === null) throw new ApiError('invalidQuery', 'Array cannot have a null element; error in writing field')
      return { v: cell(item, valueType) }
    })
  }
  if (value === null || value === undefined) return null
  if (type instanceof DuckDBStructType) {
    const struct = value as Record<string, unknown>
    return { f: type.entryNames.map((entry, index) => ({ v: cell(struct[entry], type.entryTypes[index]) })) }
  }
  switch (type?.typeId) {
    case DuckDBTypeId.TIMESTAMP_TZ:
      return String(microseconds(String(value)))
    case DuckDBTypeId.TIMESTAMP:
      return String(value).replace(' ', 'T')
    case DuckDBTypeId.DECIMAL: {
      const digits = String(value)
      return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits
    }
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.UBIGINT:
      if (BigInt.asIntN(64, BigInt(String(value))) !== BigInt(String(value))) throw invalidQuery(`int64 overflow: ${value}`)
      return String(value)
    default:
      return String(value)
  }
}

/** Microseconds since 1970 of a time as DuckDB writes it, in UTC. */
function microseconds(value: string): bigint {
  const [, day, time, fraction = ''] = /^(\S+) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(value) ?? []
  if (day === undefined) throw new ApiError('internalError', `not a time: ${value}`)
  return BigInt(Date.parse(`${day}T${time}Z`)) * 1000n + BigInt(fraction.padEnd(6, '0'))
}

/** One page of a result. */
export interface Page {
  readonly rows: readonly Json[]
  readonly pageToken: string | undefined
}

/** Cuts a page as `pageToken`, `startIndex` and `maxResults` ask for; a page is never larger than the service would send. */
export function pageOf(rows: readonly Json[], query: URLSearchParams, largest: number): Page {
  const token = query.get('pageToken')
  const start = integer(token?.replace(/^row-/, '') ?? query.get('startIndex') ?? '0')
  if (start === undefined || start < 0) throw new ApiError('invalid', 'Invalid value for pageToken or startIndex')
  const asked = integer(query.get('maxResults') ?? String(largest)) ?? largest
  const end = start + Math.min(asked, largest)
  return { rows: rows.slice(start, end), pageToken: end < rows.length ? `row-${end}` : undefined }
}
