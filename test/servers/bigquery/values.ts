import { isObject } from './json.ts'
import type { Field, Scalar } from './types.ts'

/** What is wrong with one value of a row. */
export interface Fault {
  readonly field: string
  readonly kind: 'unknown' | 'missing' | 'null' | 'value'
  readonly type: Scalar | undefined
  /** The value as messages show it. */
  readonly value: string
}

/** Checks the rows of one table, value by value, before DuckDB sees them. */
export type CheckRow = (row: unknown, ignoreUnknown: boolean) => Fault[]

const CLOCK = /^([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?$/
const ZONED_CLOCK = /^([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?( ?UTC|Z|[+-]\d\d:\d\d)?)?$/

/** How each type is written in JSON. What the service may accept beyond this is refused, so that nothing passes here that fails there. */
const ACCEPTS: Readonly<Record<Scalar, (value: unknown) => boolean>> = {
  STRING: value => typeof value === 'string' && value.isWellFormed(),
  INT64: value => (typeof value === 'string' ? isInt64(value) : Number.isSafeInteger(value)),
  FLOAT64: value =>
    typeof value === 'number' || (typeof value === 'string' && /^-?(\d+(\.\d+)?(e[+-]?\d+)?|inf|nan)$/i.test(value)),
  BOOL: value => typeof value === 'boolean' || (typeof value === 'string' && /^(true|false)$/i.test(value)),
  NUMERIC: isNumeric,
  DATE: value => typeof value === 'string' && isDate(value),
  DATETIME: value => typeof value === 'string' && isInstant(value, CLOCK),
  TIME: value => typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?$/.test(value),
  TIMESTAMP: value => typeof value === 'string' && isInstant(value, ZONED_CLOCK),
  // Any value; but text in it must be text.
  JSON: value => JSON.stringify(value).isWellFormed(),
  BYTES: value => typeof value === 'string' && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value),
}

/** Compiles the check of the rows of a table. */
export function checkerOf(fields: readonly Field[]): CheckRow {
  const known = new Map(fields.map(field => [field.name, field]))
  const required = fields.filter(({ mode }) => mode === 'REQUIRED').map(({ name }) => name)
  return (row, ignoreUnknown) => {
    if (!isObject(row)) return [{ field: '', kind: 'value', type: undefined, value: show(row) }]
    const faults: Fault[] = []
    for (const name of Object.keys(row)) {
      const value = row[name]
      const field = known.get(name)
      if (field === undefined) {
        if (!ignoreUnknown) faults.push({ field: name, kind: 'unknown', type: undefined, value: show(value) })
      } else if (value === null) {
        if (field.mode === 'REQUIRED') faults.push({ field: name, kind: 'null', type: field.type, value: 'NULL' })
      } else if (!ACCEPTS[field.type](value)) {
        faults.push({ field: name, kind: 'value', type: field.type, value: show(value) })
      }
    }
    for (const name of required) {
      if (!Object.hasOwn(row, name)) faults.push({ field: name, kind: 'missing', type: undefined, value: '' })
    }
    return faults
  }
}

const NOUNS: Readonly<Partial<Record<Scalar, string>>> = {
  INT64: 'integer',
  FLOAT64: 'double',
  BOOL: 'boolean',
  STRING: 'string',
}

/** The clause of a load error about a value. */
export function loadMessage({ field, kind, type, value }: Fault): string {
  const where = ` Field: ${field}; Value: ${value}`
  if (kind === 'unknown') return `No such field: ${field}.`
  if (kind === 'missing') return `Missing required field: ${field}.`
  if (kind === 'null') return `Only optional fields can be set to NULL.${where}`
  if (type === undefined) return 'Parser terminated before end of string'
  if (type === 'TIMESTAMP') {
    const format = 'YYYY-MM-DD HH:MM[:SS[.SSSSSS]] or YYYY/MM/DD HH:MM[:SS[.SSSSSS]]'
    return `Could not parse '${value}' as a timestamp. Required format is ${format}${where}`
  }
  const noun = NOUNS[type]
  return noun === undefined ? `Invalid ${type} value: ${value}${where}` : `Could not convert value to ${noun}.${where}`
}

/** The message of a streamed row about a value. */
export function streamMessage({ field, kind, type, value }: Fault): string {
  if (kind === 'unknown') return `no such field: ${field}.`
  if (kind === 'missing' || kind === 'null') return `Missing required field: ${field}.`
  if (type === undefined) return 'This field is not a record.'
  return `Cannot convert value to ${NOUNS[type] ?? type} (bad value): ${value}`
}

function isInt64(value: string): boolean {
  return /^-?\d{1,19}$/.test(value) && BigInt.asIntN(64, BigInt(value)) === BigInt(value)
}

/** NUMERIC has 29 digits before the point and 9 after it. A number that JSON cannot carry exactly is refused. */
function isNumeric(value: unknown): boolean {
  if (typeof value === 'number') return /^-?(?=(?:\d\.?){1,15}$)\d+(\.\d{1,9})?$/.test(String(value))
  return typeof value === 'string' && /^-?0*\d{1,29}(\.\d{1,9}0*)?$/.test(value)
}

/** Whether the text is a day there is, from year 1 to 9999. */
export function isDate(value: string): boolean {
  if (days.has(value)) return true
  if (!isDay(value)) return false
  if (days.size > 10_000) days.clear()
  days.add(value)
  return true
}

/** Days that were looked at before: rows come with few of them, again and again. */
const days = new Set<string>()

function isDay(value: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(value) || value.startsWith('0000')) return false
  const time = Date.parse(`${value}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(value)
}

function isInstant(value: string, clock: RegExp): boolean {
  return isDate(value.slice(0, 10)) && clock.test(value.slice(10))
}

function show(value: unknown): string {
  const whole = typeof value === 'string' ? value : JSON.stringify(value)
  return whole.length > 200 ? `${whole.slice(0, 200)}...` : whole
}
