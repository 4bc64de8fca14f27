const SCALE = 9
const ONE = 10n ** BigInt(SCALE)

/** Decimal text with at most 9 decimals as a count of billionths. */
function billionths(text: string): bigint {
  const point = text.indexOf('.')
  if (point < 0) return BigInt(text) * ONE
  const fraction = text.slice(point + 1)
  return BigInt(text.slice(0, point) + fraction.padEnd(SCALE, '0'))
}

function decimalText(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(SCALE + 1, '0')
  const fraction = digits.slice(-SCALE).replace(/0+$/, '')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -SCALE)}${fraction === '' ? '' : `.${fraction}`}`
}

/** Characters up to which two decimals compare as doubles like they compare exactly: distinct decimals of 15 digits are distinct doubles. */
const COMPARABLE = 15

/** A function that says the sign of `value - bound`, exact, for decimals as text. */
export function comparedWith(bound: string): (value: string) => number {
  // The usual bound; a decimal as it is written here says its sign in its first character.
  if (bound === '0') return value => (value.charCodeAt(0) === MINUS ? -1 : value === '0' ? 0 : 1)
  const approximate = bound.length <= COMPARABLE ? Number(bound) : Number.NaN
  return value =>
    value.length <= COMPARABLE && !Number.isNaN(approximate) ? Number(value) - approximate : compareDecimals(value, bound)
}

/** Sign of `a - b`, exact, for two decimals as text. */
export function compareDecimals(a: string, b: string): number {
  if (a.length <= COMPARABLE && b.length <= COMPARABLE) return Number(a) - Number(b)
  const difference = billionths(a) - billionths(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** Whether two decimals are the same number, however they are written. */
export function sameDecimal(a: string, b: string): boolean {
  return a === b || billionths(a) === billionths(b)
}

/** Sign and size of a change, as decimal text. */
export function subtractDecimals(a: string, b: string): string {
  return decimalText(billionths(a) - billionths(b))
}

/** Sum of two decimals as text. */
export function addDecimals(a: string, b: string): string {
  return decimalText(billionths(a) + billionths(b))
}

const SAFE = 2 ** 52
const BILLION = 1e9
const MINUS = '-'.charCodeAt(0)
const POINT = '.'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
/** Below this many characters the parts of a decimal are exact as doubles. */
const SHORT = 15

/** An exact running sum of INT64 and NUMERIC values, in constant memory; bigints are touched only when doubles would not be exact. */
export class DecimalSum {
  #whole = 0
  /** Billionths that come from fractions. */
  #fraction = 0
  #exact = 0n

  add(value: number | string): void {
    if (typeof value === 'number') {
      this.#addWhole(value)
      return
    }
    if (value.length > SHORT) {
      this.#exact += billionths(value)
      return
    }
    // Digit by digit: quicker than cutting the text in two and reading both.
    const negative = value.charCodeAt(0) === MINUS
    let whole = 0
    let at = negative ? 1 : 0
    for (; at < value.length && value.charCodeAt(at) !== POINT; at++) whole = whole * 10 + value.charCodeAt(at) - ZERO
    let fraction = 0
    for (let unit = BILLION / 10; ++at < value.length; unit /= 10) fraction += (value.charCodeAt(at) - ZERO) * unit
    this.#addWhole(negative ? -whole : whole)
    this.#fraction += negative ? -fraction : fraction
    if (this.#fraction > SAFE || this.#fraction < -SAFE) this.#settle()
  }

  subtract(value: number | string): void {
    if (typeof value === 'number') this.add(-value)
    else this.add(value.startsWith('-') ? value.slice(1) : `-${value}`)
  }

  #addWhole(value: number): void {
    if (value > SAFE || value < -SAFE) {
      this.#exact += BigInt(value) * ONE
      return
    }
    this.#whole += value
    if (this.#whole > SAFE || this.#whole < -SAFE) this.#settle()
  }

  #settle(): void {
    this.#exact += BigInt(this.#whole) * ONE + BigInt(this.#fraction)
    this.#whole = 0
    this.#fraction = 0
  }

  /** The sum so far, as canonical decimal text. */
  toString(): string {
    this.#settle()
    return decimalText(this.#exact)
  }
}
