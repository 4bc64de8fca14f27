import fc from 'fast-check'
import t from 'tap'
import { addDecimals, compareDecimals, comparedWith, DecimalSum, sameDecimal, subtractDecimals } from '../lib/decimal.ts'

/** A decimal as a count of billionths, computed without the code under test. */
function billionths(text: string): bigint {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const value = BigInt(whole) * 10n ** 9n + BigInt(fraction.padEnd(9, '0'))
  return text.startsWith('-') ? -value : value
}

function canonical(value: bigint): string {
  const digits = (value < 0n ? -value : value).toString().padStart(10, '0')
  const fraction = digits.slice(-9).replace(/0+$/, '')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`
}

/** Canonical decimals of every length, many of them short, and many close to each other. */
const decimal = fc.oneof(
  fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }).map(canonical),
  fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n }).map(canonical),
  fc.integer({ min: -1_000, max: 1_000 }).map(value => canonical(BigInt(value) * 10_000_000n)),
  fc.bigInt({ min: 0n, max: 20n }).map(value => canonical((9_007_199_254_740_985n + value) * 10n ** 9n)),
)
/** What an INT64 or a NUMERIC column may hold. */
const summand = fc.oneof(decimal, fc.maxSafeInteger(), fc.constantFrom('9223372036854775807', '-9223372036854775808', -0))

function sign(number: number): number {
  return number < 0 ? -1 : number > 0 ? 1 : 0
}

function exactOrder(a: string, b: string): number {
  return billionths(a) < billionths(b) ? -1 : billionths(a) > billionths(b) ? 1 : 0
}

t.test('decimals compare by their exact value', async t => {
  for (const [a, b, order] of [
    ['0', '0', 0],
    ['-0.5', '0', -1],
    ['0.5', '0', 1],
    ['10', '9', 1],
    ['0.000000001', '0.000000002', -1],
    ['-0.000000001', '0', -1],
    ['9007199254740992', '9007199254740993', -1],
    ['-9007199254740992', '-9007199254740993', 1],
    ['9007199254740993', '9007199254740993', 0],
    ['9223372036854775807', '9223372036854775808', -1],
    ['99999999999999999999999999999.999999999', '99999999999999999999999999999.999999998', 1],
    ['1', '0.99999999999999'.slice(0, 11), 1],
  ] as const) {
    t.equal(sign(compareDecimals(a, b)), order, `${a} and ${b}`)
    t.equal(sign(comparedWith(b)(a)), order, `${a} with the bound ${b}`)
  }
  fc.assert(
    fc.property(
      decimal,
      decimal,
      (a, b) => sign(compareDecimals(a, b)) === exactOrder(a, b) && sign(comparedWith(b)(a)) === exactOrder(a, b),
    ),
    { numRuns: 1_000 },
  )
})

t.test('a bound need not be canonical', async t => {
  const compared = comparedWith('00000000000000000000.50')
  t.ok(compared('0.499999999') < 0)
  t.equal(sign(compared('0.5')), 0)
  t.ok(compared('0.500000001') > 0)
  t.equal(sign(comparedWith('5.00')('5')), 0)
})

t.test('a sum is exact, in any order, whatever mixture of numbers and texts it takes', async () => {
  fc.assert(
    fc.property(fc.array(summand, { maxLength: 60 }), values => {
      const forward = new DecimalSum()
      const backward = new DecimalSum()
      for (const value of values) forward.add(value)
      for (const value of values.toReversed()) backward.add(value)
      const exact = canonical(values.reduce((sum, value) => sum + billionths(String(value)), 0n))
      return String(forward) === exact && String(backward) === exact
    }),
    { numRuns: 500 },
  )
})

t.test('a sum stays exact where doubles no longer are', async t => {
  const sum = new DecimalSum()
  for (let index = 0; index < 10_000; index++) {
    sum.add(Number.MAX_SAFE_INTEGER)
    sum.add('0.999999999')
    sum.add('-0.1')
    sum.add(2 ** 52)
  }
  const each = BigInt(Number.MAX_SAFE_INTEGER) * 10n ** 9n + 999_999_999n - 100_000_000n + 2n ** 52n * 10n ** 9n
  t.equal(String(sum), canonical(each * 10_000n))
})

t.test('many fractions that cancel out leave nothing', async t => {
  const sum = new DecimalSum()
  for (let index = 0; index < 100_000; index++) {
    sum.add('0.1')
    sum.add('0.2')
    sum.add('-0.3')
  }
  t.equal(String(sum), '0')
})

t.test('a sum may be read in between', async t => {
  const sum = new DecimalSum()
  t.equal(String(sum), '0')
  sum.add('-0.5')
  t.equal(String(sum), '-0.5')
  sum.add(1)
  t.equal(String(sum), '0.5')
  t.equal(String(sum), '0.5')
})

t.test('decimals are added and subtracted exactly, and come out canonical', async () => {
  fc.assert(
    fc.property(
      decimal,
      decimal,
      (a, b) =>
        addDecimals(a, b) === canonical(billionths(a) + billionths(b)) &&
        subtractDecimals(a, b) === canonical(billionths(a) - billionths(b)),
    ),
  )
})

t.test('the same number is the same however it is written', async t => {
  t.ok(sameDecimal('5.23', '5.230000000'))
  t.ok(sameDecimal('-0', '0.000000000'))
  t.ok(sameDecimal('007', '7'))
  t.notOk(sameDecimal('5.23', '5.230000001'))
  t.notOk(sameDecimal('-5.23', '5.23'))
  t.notOk(sameDecimal('9007199254740993', '9007199254740992'))
})
