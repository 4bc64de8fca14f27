import { isDay } from './chunk.ts'
import type { Rule } from './errors.ts'

/**
 * Why one value was refused. Thrown by converters and caught, row by row, by the map step; not an `Error`, because a stack for
 * each of a million bad rows would cost more than the rows.
 */
export class Refusal {
  readonly rule: Rule
  readonly value: unknown
  readonly reason: string

  constructor(rule: Rule, value: unknown, reason: string) {
    this.rule = rule
    this.value = value
    this.reason = reason
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function required(): never {
  throw new Refusal('required', null, 'is absent or null, and the column is required')
}

function wrongType(value: unknown, wanted: string): never {
  throw new Refusal('type', value, `is ${kindOf(value)}, not ${wanted}`)
}

/** Digits that a JSON number no longer carries cannot be brought back. */
function lostDigits(value: number): never {
  throw new Refusal(
    'precision',
    value,
    'is past 2^53 as a JSON number, its last digits may be lost; the API must send it as text',
  )
}

function halfPair(value: unknown): never {
  throw new Refusal('type', value, 'is not well-formed Unicode (half of a surrogate pair)')
}

/** Text as it is. Numbers and booleans become their usual text while they are exact; objects never do. */
export function text(value: unknown): string {
  if (typeof value === 'string') return value.isWellFormed() ? value : halfPair(value)
  if (value === undefined || value === null) return required()
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  if (typeof value !== 'number' || !Number.isFinite(value)) return wrongType(value, 'text')
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? lostDigits(value) : String(value)
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** A whole number: a JSON number while it is exact, or decimal text of any length up to 64 bits. */
export function integer(value: unknown): number | string {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return value + 0 // -0 becomes 0
    if (Number.isInteger(value)) return lostDigits(value)
    throw new Refusal('type', value, 'is not a whole number')
  }
  if (typeof value === 'string') {
    if (!/^-?\d{1,40}$/.test(value)) throw new Refusal('type', value, 'is not a whole number')
    return value.length < 16 ? Number(value) + 0 : fit64(BigInt(value), value)
  }
  if (typeof value === 'bigint') return fit64(value, value)
  if (value === undefined || value === null) return required()
  return wrongType(value, 'a whole number')
}

function fit64(exact: bigint, value: unknown): number | string {
  if (exact < INT64_MIN || exact > INT64_MAX) throw new Refusal('range', value, 'does not fit 64 bits')
  const number = Number(exact)
  return Number.isSafeInteger(number) ? number : exact.toString()
}

/**
 * An exact decimal as canonical text: no exponent, no leading or trailing zeros, no `-0`. JSON numbers are taken at their
 * shortest decimal form, which is what the API wrote as long as it has at most 15 significant digits; longer ones are refused.
 */
export function decimal(value: unknown): string {
  if (typeof value === 'string') return canonicalDecimal(value, value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Refusal('type', value, 'is not a finite number')
    const shortest = String(value)
    // The usual case: JavaScript writes it without an exponent and without a superfluous zero.
    if (shortest.length < 11 && !shortest.includes('e')) return shortest
    if (Math.abs(value) >= 1e15 || (shortest.length > 15 && significantDigits(shortest) > 15)) {
      throw new Refusal('precision', value, 'has more than 15 digits as a JSON number; the API must send it as text')
    }
    return canonicalDecimal(shortest, value)
  }
  if (typeof value === 'bigint') return canonicalDecimal(value.toString(), value)
  if (value === undefined || value === null) return required()
  return wrongType(value, 'a decimal number')
}

function significantDigits(number: string): number {
  return number.replace(/e.*$/, '').replace(/[-.]/g, '').replace(/^0+/, '').length
}

const DECIMAL = /^(-?)0*(\d+)(?:\.(?=\d)(\d*?)0*)?(?:e([+-]?\d+))?$/i

function canonicalDecimal(written: string, value: unknown): string {
  // The expression tries every way to part zeros from digits: on a long text that would take minutes.
  const match = written.length > 100 ? null : DECIMAL.exec(written)
  if (match === null) throw new Refusal('type', value, 'is not a decimal number')
  let [, sign = '', whole = '', fraction = ''] = match
  const exponent = Number(match[4] ?? 0)
  if (exponent !== 0) {
    if (Math.abs(exponent) > 60) throw new Refusal('range', value, 'does not fit 29 digits before the point and 9 after it')
    const digits = whole + fraction
    const point = whole.length + exponent
    whole = (point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0').replace(/^0+(?=\d)/, '')
    fraction = (point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits).replace(/0+$/, '')
  }
  if (whole.length > 29 || fraction.length > 9) {
    throw new Refusal('range', value, 'does not fit 29 digits before the point and 9 after it')
  }
  if (fraction === '') return whole === '0' ? '0' : sign + whole
  return `${sign}${whole}.${fraction}`
}

/** Millionths to units, exactly: `5230000` becomes `5.23`. */
export function micros(value: unknown): string {
  const exact = integer(value)
  if (typeof exact === 'string') return canonicalDecimal(shiftPoint(exact, 6), value)
  const rest = exact % 1_000_000
  const whole = (exact - rest) / 1_000_000
  if (rest === 0) return String(whole)
  const fraction = String(1_000_000 + Math.abs(rest)).slice(1)
  let end = 6
  while (fraction.charCodeAt(end - 1) === 48) end--
  return `${whole === 0 && rest < 0 ? '-0' : whole}.${end === 6 ? fraction : fraction.slice(0, end)}`
}

function shiftPoint(digits: string, places: number): string {
  return `${digits.slice(0, -places)}.${digits.slice(-places)}`
}

/** A double: a finite JSON number, or its text. */
export function float(value: unknown): number {
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value + 0
    throw new Refusal('type', value, 'is not a finite number')
  }
  if (typeof value === 'string') {
    if (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(value) && Number.isFinite(Number(value))) return Number(value) + 0
    throw new Refusal('type', value, 'is not a finite number')
  }
  if (value === undefined || value === null) return required()
  return wrongType(value, 'a number')
}

/** True or false, as JSON booleans, the texts `true` and `false`, or 1 and 0. */
export function boolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  if (value === 'true' || value === 1) return true
  if (value === 'false' || value === 0) return false
  if (value === undefined || value === null) return required()
  if (typeof value === 'string' || typeof value === 'number') throw new Refusal('type', value, 'is neither true nor false')
  return wrongType(value, 'true or false')
}

let lastDayIn = '1970-01-01'
let lastDayOut = lastDayIn

/** A day as `YYYY-MM-DD` or `YYYYMMDD`. Nothing else: a timestamp has no day until somebody names a time zone. */
export function day(value: unknown): string {
  if (value === lastDayIn) return lastDayOut // one page holds the same few days thousands of times
  if (value === undefined || value === null) return required()
  if (typeof value !== 'string') return wrongType(value, 'a day')
  const written = /^\d{8}$/.test(value) ? `${value.slice(0, 4)}-${value.slice(4, 6)}-${value.slice(6)}` : value
  if (!isDay(written)) throw new Refusal('type', value, 'is not a day (YYYY-MM-DD or YYYYMMDD)')
  lastDayIn = value
  lastDayOut = written
  return written
}

/** How an API counts time when it does not write it out. */
export type EpochUnit = 's' | 'ms' | 'us'

const INSTANT = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/

/** An instant with its offset; digits past the microsecond are cut off. Text without an offset is refused: it names no instant. */
export function timestamp(value: unknown): string {
  if (value === undefined || value === null) return required()
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new Refusal('type', String(value), 'is not an instant')
    return instantText(value.getTime(), '', value)
  }
  if (typeof value !== 'string') return wrongType(value, 'an instant')
  const match = INSTANT.exec(value)
  if (match === null) throw new Refusal('type', value, 'is not an instant with an offset (2026-01-31T05:06:07Z)')
  const [, date = '', time = '', fraction = '', offset = ''] = match
  const written = Date.parse(`${date}T${time}Z`)
  if (Number.isNaN(written) || new Date(written).toISOString().slice(0, 10) !== date) {
    throw new Refusal('type', value, 'is not an instant that exists')
  }
  return instantText(written - offsetMs(offset), fraction, value)
}

function offsetMs(offset: string): number {
  if (offset === 'Z') return 0
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}

const FIRST_INSTANT = Date.parse('0001-01-01T00:00:00.000Z')
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z')

function instantText(ms: number, fraction: string, value: unknown): string {
  if (ms < FIRST_INSTANT || ms > LAST_INSTANT) throw new Refusal('range', value, 'is outside the years 0001 to 9999')
  const iso = new Date(ms).toISOString()
  return fraction === '' ? `${iso.slice(0, 23)}000Z` : `${iso.slice(0, 20)}${fraction.padEnd(6, '0').slice(0, 6)}Z`
}

const PER_SECOND: Readonly<Record<EpochUnit, bigint>> = { s: 1n, ms: 1_000n, us: 1_000_000n }

/** An instant counted since 1970 in whole seconds, milliseconds or microseconds. */
export function epoch(value: unknown, unit: EpochUnit): string {
  const micro = BigInt(integer(value)) * (1_000_000n / PER_SECOND[unit])
  const fraction = ((micro % 1_000_000n) + 1_000_000n) % 1_000_000n
  return instantText(Number((micro - fraction) / 1_000n), String(fraction).padStart(6, '0'), value)
}

/** Where JSON text holds half of a surrogate pair, which `JSON.stringify` writes as an escape and a warehouse refuses to read. */
export const HALF_PAIR = /(?<!\\)((?:\\\\)*)\\(?=ud)/g

/** Any value but null, as JSON text. */
export function json(value: unknown): string {
  if (value === undefined || value === null) return required()
  let written: string | undefined
  try {
    written = JSON.stringify(value)
  } catch (error) {
    throw new Refusal('type', value, `cannot be written as JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (written === undefined) return wrongType(value, 'JSON')
  return written.includes('\\ud') && written.search(HALF_PAIR) >= 0 ? halfPair(value) : written
}
