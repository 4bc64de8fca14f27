import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import * as convert from '../lib/convert.ts'
import { outcome, outcomes } from './outcome.ts'

const NOT_SCALARS = [{}, [], [1], new Map(), Symbol('s'), () => 1]

t.test('text is taken as it is, and exact scalars as their usual text', async t => {
  outcomes(t, convert.text, [
    ['', ''],
    [' 5', ' 5'],
    ['a\u0000\n"😀', 'a\u0000\n"😀'],
    [true, 'true'],
    [0, '0'],
    [-0, '0'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1e-7, '1e-7'],
    [2 ** 53 - 1, '9007199254740991'],
    [12345678901234567890n, '12345678901234567890'],
    ...NOT_SCALARS.map(value => [value, '!type'] as const),
    [Number.NaN, '!type'],
    [Number.POSITIVE_INFINITY, '!type'],
  ])
})

t.test('text is refused when a JSON number has lost its last digits', async t => {
  outcomes(t, convert.text, [
    [2 ** 53, '!precision'],
    [Number('12345678901234567'), '!precision'],
    [-1e21, '!precision'],
  ])
})

t.test('text with half of a surrogate pair is refused, wherever the half stands', async t => {
  outcomes(t, convert.text, [
    ['\ud83d', '!type'],
    ['a\ude00b', '!type'],
    ['\ude00\ud83d', '!type'],
  ])
})

t.test('a whole number is exact, as a number while it is safe and as text beyond', async t => {
  outcomes(t, convert.integer, [
    [0, 0],
    [-0, 0],
    ['-0', 0],
    ['007', 7],
    ['-000000000000000000000000000000000007', -7],
    [2 ** 53 - 1, 9007199254740991],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', '9007199254740992'],
    ['9007199254740993', '9007199254740993'],
    ['-9007199254740993', '-9007199254740993'],
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    [7n, 7],
    [2n ** 63n - 1n, '9223372036854775807'],
  ])
})

t.test('what is not exactly a whole number of 64 bits is refused by name', async t => {
  outcomes(t, convert.integer, [
    [2 ** 53, '!precision'],
    [2 ** 53 + 2, '!precision'],
    [-(2 ** 53), '!precision'],
    [1e21, '!precision'],
    ['9223372036854775808', '!range'],
    ['-9223372036854775809', '!range'],
    [2n ** 63n, '!range'],
    ...['', ' 5', '5 ', '5\n', '+5', '5.', '5.0', '.5', '1e5', '0x10', '1_000', '1,000', '٣', '-', '9'.repeat(41)].map(
      value => [value, '!type'] as const,
    ),
    ...[1.5, 1e-7, Number.NaN, Number.NEGATIVE_INFINITY, true, ...NOT_SCALARS].map(value => [value, '!type'] as const),
  ])
})

t.test('any whole number of 64 bits goes through text and back unchanged', async () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), exact => {
      const fromText = convert.integer(String(exact))
      return (
        BigInt(fromText) === exact &&
        fromText === convert.integer(exact) &&
        (typeof fromText === 'number') === (exact >= -(2n ** 53n) + 1n && exact < 2n ** 53n)
      )
    }),
  )
})

t.test('a decimal is canonical text', async t => {
  outcomes(t, convert.decimal, [
    [0, '0'],
    [-0, '0'],
    ['-0', '0'],
    ['-0.000', '0'],
    ['007', '7'],
    ['5.10', '5.1'],
    [5.1, '5.1'],
    ['-0.50', '-0.5'],
    [1e-7, '0.0000001'],
    [-1.5e-7, '-0.00000015'],
    [0.000000001, '0.000000001'],
    ['0.123456789', '0.123456789'],
    ['0.1234567890', '0.123456789'],
    [999_999_999_999_999, '999999999999999'],
    [99999999999.9999, '99999999999.9999'],
    [`${'9'.repeat(29)}.999999999`, `${'9'.repeat(29)}.999999999`],
    [`${'0'.repeat(50)}1`, '1'],
    ['1e5', '100000'],
    ['1E+5', '100000'],
    ['-1.50e1', '-15'],
    ['0.001e5', '100'],
    ['0E-9', '0'],
    ['10e-1', '1'],
    [10n ** 28n, `1${'0'.repeat(28)}`],
  ])
})

t.test('a decimal that would not be exact, or not fit, is refused by name', async t => {
  outcomes(t, convert.decimal, [
    [0.1 + 0.2, '!precision'],
    [Number('12345678901234567'), '!precision'],
    [1e15, '!precision'],
    [1e20, '!precision'],
    [-1e21, '!precision'],
    [0.0000000001, '!range'],
    [0.1234567891, '!range'],
    ['0.1234567891', '!range'],
    ['1'.repeat(30), '!range'],
    [10n ** 29n, '!range'],
    ['1e29', '!range'],
    ['1e-10', '!range'],
    ['1e999999999999', '!range'],
    ...['', ' 5', '+5', '5.', '.5', '-', '1e', 'e5', '1.2.3', '1,5', '0x1', 'NaN', 'Infinity', '5\n'].map(
      value => [value, '!type'] as const,
    ),
    ...[Number.NaN, Number.POSITIVE_INFINITY, true, ...NOT_SCALARS].map(value => [value, '!type'] as const),
  ])
})

t.test('a long text of zeros is refused at once, not tried for minutes', async t => {
  const zeros = '0'.repeat(20_000)
  for (const converter of [convert.decimal, convert.integer, convert.micros]) {
    t.equal(outcome(converter, `${zeros}.${zeros}x`), '!type')
  }
})

/** Decimal text with some number of digits on both sides of the point, not canonical. */
const decimalText = fc
  .tuple(fc.boolean(), fc.stringMatching(/^\d{1,29}$/), fc.stringMatching(/^\d{0,9}$/), fc.nat({ max: 20 }))
  .map(([negative, whole, fraction, zeros]) => {
    const point = fraction === '' ? '' : `.${fraction}${'0'.repeat(zeros)}`
    return `${negative ? '-' : ''}${'0'.repeat(zeros)}${whole}${point}`
  })

function billionths(text: string): bigint {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const value = BigInt(whole) * 10n ** 9n + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return text.startsWith('-') ? -value : value
}

t.test('a canonical decimal is the same number, has no superfluous digit, and stays as it is', async () => {
  fc.assert(
    fc.property(decimalText, written => {
      const canonical = convert.decimal(written)
      return (
        billionths(canonical) === billionths(written) &&
        convert.decimal(canonical) === canonical &&
        /^(0|-?(?!0[^.])\d+(\.\d*[1-9])?)$/.test(canonical) &&
        canonical !== '-0'
      )
    }),
  )
})

t.test('a JSON number of at most 15 digits becomes the decimal it was written as', async () => {
  fc.assert(
    fc.property(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.nat({ max: 9 }), (digits, places) => {
      const written = `${digits}e-${places}`
      return convert.decimal(Number(written)) === convert.decimal(written)
    }),
  )
})

t.test('micros are millionths, exactly', async t => {
  outcomes(t, convert.micros, [
    [5_230_000, '5.23'],
    ['5230000', '5.23'],
    [0, '0'],
    [-0, '0'],
    [1, '0.000001'],
    [-1, '-0.000001'],
    [-500_000, '-0.5'],
    [-1_500_000, '-1.5'],
    [-1_000_000, '-1'],
    ['9223372036854775807', '9223372036854.775807'],
    ['-9223372036854775808', '-9223372036854.775808'],
    [1.5, '!type'],
    ['5.5', '!type'],
    [2 ** 53, '!precision'],
    ['9223372036854775808', '!range'],
    ...NOT_SCALARS.map(value => [value, '!type'] as const),
  ])
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), exact => {
      const made = convert.micros(String(exact))
      return billionths(made) === exact * 1_000n && convert.decimal(made) === made
    }),
  )
})

t.test('a double is finite, and never minus zero', async t => {
  outcomes(t, convert.float, [
    [0.1 + 0.2, 0.1 + 0.2],
    [5e-324, 5e-324],
    [1.7976931348623157e308, 1.7976931348623157e308],
    ['1e5', 100_000],
    ['-1.5E-7', -1.5e-7],
    ['1e400', '!type'],
    ...['', ' 5', '5.', '.5', '+5', 'NaN', '0x1', '1_0', Number.NaN, Number.POSITIVE_INFINITY, true, 1n, ...NOT_SCALARS].map(
      value => [value, '!type'] as const,
    ),
  ])
  for (const zero of [-0, '-0', '-0.0', '-0e5']) t.ok(Object.is(convert.float(zero), 0), inspect(zero))
  for (const zero of [-0, '-0']) t.ok(Object.is(convert.integer(zero), 0), inspect(zero))
})

t.test('a boolean is true, false, their texts, or 1 and 0', async t => {
  outcomes(t, convert.boolean, [
    [true, true],
    ['true', true],
    [1, true],
    [false, false],
    ['false', false],
    [0, false],
    ...['', 'TRUE', 'yes', '1', 2, Number.NaN, 1n, ...NOT_SCALARS].map(value => [value, '!type'] as const),
  ])
})

t.test('a refusal carries the rule, the value as it came, and a clause that names its kind', async t => {
  const list = [1]
  const refused = (work: () => unknown): unknown => {
    try {
      return work()
    } catch (thrown) {
      return { ...(thrown as convert.Refusal) }
    }
  }
  t.same(
    refused(() => convert.text(list)),
    { rule: 'type', value: list, reason: 'is an array, not text' },
  )
  t.same(
    refused(() => convert.decimal({})),
    { rule: 'type', value: {}, reason: 'is an object, not a decimal number' },
  )
  t.same(
    refused(() => convert.integer(true)),
    { rule: 'type', value: true, reason: 'is a boolean, not a whole number' },
  )
  t.same(
    refused(() => convert.micros('9223372036854775808')),
    { rule: 'range', value: '9223372036854775808', reason: 'does not fit 64 bits' },
  )
})
