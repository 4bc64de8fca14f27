import { FIELD_TYPES, readPaths, typeIndex } from '../attempt/shape.ts'
import type { Chunk } from '../chunk.ts'
import * as convert from '../convert.ts'
import { Refusal } from '../convert.ts'
import type { AnyExpr, Pipeline } from '../pipeline.ts'
import { type AnyRow, type MappedPage, type Reject, type Value, valueText } from '../row.ts'
import type { Column, Table } from '../table.ts'

/**
 * Turns one page of records into rows; records that cannot become one are rejected. The type of every field that is read is added to the
 * counts, `types` of a `Shape`.
 */
export type MapPage = (records: readonly unknown[], chunk: Chunk, types: Float64Array) => MappedPage

/** Columns, one of which may say the day of a row, and an expression for each. */
interface Mapped {
  readonly table: Pick<Table, 'columns' | 'partitionBy'>
  readonly map: Pipeline['map']
}

type Compiled = (
  records: readonly unknown[],
  chunk: Chunk,
  types: Float64Array,
  rows: AnyRow[],
  refused: (index: number, column: number, thrown: unknown, day: unknown) => void,
) => void

/**
 * Compiles the mapping of a pipeline into one function. The generated code holds nothing of a pipeline but its column names and
 * paths, each as a JSON string; it is ten times faster than walking the declarations for every row.
 */
export function compileMap({ table, map }: Mapped): MapPage {
  const columns = Object.keys(table.columns)
  const exprs = columns.map(column => map[column] as AnyExpr)
  const dayColumn = columns.indexOf(table.partitionBy)
  const dayFirst = [...columns.keys()].sort((a, b) => Number(b === dayColumn) - Number(a === dayColumn))
  const paths = readPaths(map)
  const body = [
    '"use strict"',
    'return (records, chunk, types, rows, refused) => {',
    '  const client = chunk.client',
    '  for (let i = 0; i < records.length; i++) {',
    '    const r = records[i]',
    '    let at = -1',
    ...columns.map((_, index) => `    let c${index}`),
    '    try {',
    '      if (typeof r !== "object" || r === null || Array.isArray(r)) throw new Refusal("record", r, "is not an object")',
    // Every field before any is converted: where one is refused, the others are counted all the same.
    ...paths.map((path, index) => `      const v${index} = ${access(path)}`),
    // The usual type is written out: that costs less than asking the function.
    ...paths.map(
      (_, index) => `      types[${index * FIELD_TYPES.length} + (typeof v${index} === "string" ? 1 : typeIndex(v${index}))]++`,
    ),
    // The day first: a reject is kept under its day, whatever else is wrong with it.
    ...dayFirst.map(
      index =>
        `      at = ${index}; ${assignment(exprs[index] as AnyExpr, index, `v${paths.indexOf(exprs[index]?.path ?? '')}`)}`,
    ),
    `      rows.push({ ${columns.map((column, index) => `${JSON.stringify(column)}: c${index}`).join(', ')} })`,
    '    } catch (refusal) {',
    `      refused(i, at, refusal, ${dayColumn === -1 ? 'undefined' : `c${dayColumn}`})`,
    '    }',
    '  }',
    '}',
  ].join('\n')
  const compiled: Compiled = new Function('convert', 'Refusal', 'exprs', 'own', 'typeIndex', body)(
    convert,
    Refusal,
    exprs,
    own,
    typeIndex,
  )

  return (records, chunk, types) => {
    const rows: AnyRow[] = []
    const rejects: Reject[] = []
    let dropped: Set<number> | undefined
    compiled(records, chunk, types, rows, (index, column, thrown, day) => {
      const refusal = thrown instanceof Refusal ? thrown : customFailure(exprs[column], thrown)
      dropped ??= new Set()
      dropped.add(index)
      rejects.push({
        column: columns[column] ?? null,
        rule: refusal.rule,
        value: valueText(refusal.value),
        reason: refusal.reason,
        day: typeof day === 'string' ? day : null,
        record: records[index],
      })
    })
    return { records: dropped === undefined ? records : records.filter((_, index) => !dropped?.has(index)), rows, rejects }
  }
}

/** Reads one column out of a record, whatever the others are: its value, or why there is none. */
export type ReadColumn = (record: unknown, chunk: Chunk) => { readonly value: Value } | { readonly reject: Reject }

/** Compiles one expression by itself. */
export function compileColumn(name: string, column: Column, expr: AnyExpr): ReadColumn {
  const map = compileMap({ table: { columns: { [name]: column }, partitionBy: '' }, map: { [name]: expr } })
  const types = new Float64Array(FIELD_TYPES.length)
  return (record, chunk) => {
    const { rows, rejects } = map([record], chunk, types)
    const [reject] = rejects
    return reject === undefined ? { value: rows[0]?.[name] ?? null } : { reject }
  }
}

/** A custom function may throw anything; whatever else throws here is a defect of headrace and must not pass for bad data. */
function customFailure(expr: AnyExpr | undefined, thrown: unknown): Refusal {
  if (expr?.operation !== 'custom') throw thrown
  return new Refusal(
    'custom',
    undefined,
    `could not be computed: ${thrown instanceof Error ? thrown.message : valueText(thrown)}`,
  )
}

/** The statement that fills a column; `field` is the variable that holds the field it reads. */
function assignment(expr: AnyExpr, index: number, field: string): string {
  const target = `c${index}`
  switch (expr.operation) {
    case 'constant':
      return `${target} = ${JSON.stringify(expr.value)}`
    case 'client':
      return expr.path === undefined
        ? `${target} = client`
        : `${converted(field, 'text')}; if (${target} !== null && ${target} !== client) throw new Refusal("client", ${target}, "is not the client of the chunk, " + client)`
    case 'custom':
      return `{ const v = exprs[${index}].fn(r, chunk); ${converted('v', CONVERTER[expr.type])} }`
    case 'timestamp':
      return expr.unit === undefined ? converted(field, 'timestamp') : converted(field, 'epoch', `, ${JSON.stringify(expr.unit)}`)
    default:
      return converted(field, expr.operation)
  }

  function converted(value: string, converter: keyof typeof convert, more = ''): string {
    const call = `convert.${converter}(${value}${more})`
    return `${target} = ${expr.nullable ? `${value} === undefined || ${value} === null ? null : ${call}` : call}`
  }
}

const CONVERTER = {
  STRING: 'text',
  INT64: 'integer',
  NUMERIC: 'decimal',
  FLOAT64: 'float',
  BOOL: 'boolean',
  DATE: 'day',
  TIMESTAMP: 'timestamp',
  JSON: 'json',
} as const satisfies Record<AnyExpr['type'], keyof typeof convert>

/** The expression that reads a path. Names that every object inherits are read only where the record itself has them. */
function access(path = ''): string {
  return path.split('.').reduce((of, key) => {
    const name = JSON.stringify(key)
    if (key in Object.prototype) return `own(${of}, ${name})`
    return of === 'r' ? `r[${name}]` : `${of}?.[${name}]`
  }, 'r')
}

function own(value: unknown, key: string): unknown {
  return value !== undefined && value !== null && Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined
}
