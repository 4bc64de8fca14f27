import { inspect } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import * as convert from '../lib/convert.ts'
import { outcome, outcomes } from './outcome.ts'

t.test('a day is written with hyphens or without, and exists', async t => {
  outcomes(t, convert.day, [
    ['2026-01-31', '2026-01-31'],
    ['20260131', '2026-01-31'],
    ['2024-02-29', '2024-02-29'],
    ['0001-01-01', '0001-01-01'],
    ['9999-12-31', '9999-12-31'],
    ...[
      '2026-02-30',
      '20260230',
      '2023-02-29',
      '1900-02-29',
      '2026-13-01',
      '2026-00-10',
      '2026-01-00',
      '0000-01-01',
      '+010000-01-01',
      '-000001-01-01',
      '2026-1-1',
      '26-01-31',
      '2026/01/31',
      '2026-0131',
      '31.01.2026',
      ' 2026-01-31',
      '2026-01-31\n',
      '2026-01-31T00:00:00Z',
      '',
      20260131,
      Date.UTC(2026, 0, 31),
      new Date(0),
      {},
    ].map(value => [value, '!type'] as const),
  ])
})

t.test('an absent day is refused, also when it is the very first one converted', async t => {
  const fresh = (await import(new URL('../lib/convert.ts?fresh', import.meta.url).href)) as typeof convert
  for (const nothing of [undefined, null]) {
    t.throws(() => fresh.day(nothing), `${nothing}`)
  }
  t.throws(() => fresh.day(''))
})

t.test('the same day again gives the same text, and a wrong one between changes nothing', async t => {
  t.equal(convert.day('20260131'), '2026-01-31')
  t.equal(outcome(convert.day, '20260231'), '!type')
  t.equal(convert.day('20260131'), '2026-01-31')
  t.equal(convert.day('20260130'), '2026-01-30')
})

t.test('an instant is UTC to the microsecond, whatever offset it was written with', async t => {
  outcomes(t, convert.timestamp, [
    ['2026-01-31T05:06:07Z', '2026-01-31T05:06:07.000000Z'],
    ['2026-01-31 05:06:07Z', '2026-01-31T05:06:07.000000Z'],
    ['2026-01-31T05:06:07.1Z', '2026-01-31T05:06:07.100000Z'],
    ['2026-01-31T05:06:07.123456789Z', '2026-01-31T05:06:07.123456Z'],
    ['2026-01-31T05:06:07+05:30', '2026-01-30T23:36:07.000000Z'],
    ['2026-01-31T05:06:07+0530', '2026-01-30T23:36:07.000000Z'],
    ['2026-01-31T05:06:07-00:30', '2026-01-31T05:36:07.000000Z'],
    ['2026-01-31T05:06:07.999999-23:59', '2026-02-01T05:05:07.999999Z'],
    ['2024-02-29T23:59:59.999999Z', '2024-02-29T23:59:59.999999Z'],
    ['1969-12-31T23:59:59.000001Z', '1969-12-31T23:59:59.000001Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
    [new Date(1), '1970-01-01T00:00:00.001000Z'],
    [new Date(-1), '1969-12-31T23:59:59.999000Z'],
  ])
})

t.test('text that names no instant is refused', async t => {
  outcomes(t, convert.timestamp, [
    ...[
      '2026-01-31',
      '2026-01-31T05:06:07',
      '2026-01-31T05:06Z',
      '2026-01-31T05:06:07z',
      '2026-01-31T05:06:07 UTC',
      '2026-01-31T05:06:07.Z',
      '2026-01-31T05:06:07+24:00',
      '2026-01-31T05:06:07+05:60',
      '2026-01-31T05:06:07+99:99',
      '2026-02-30T05:06:07Z',
      '2026-01-31T24:00:00Z',
      '2026-01-31T25:00:00Z',
      '2016-12-31T23:59:60Z',
      '',
      'now',
      0,
      Date.now(),
      new Date(Number.NaN),
      {},
      true,
    ].map(value => [value, '!type'] as const),
    ['0001-01-01T00:00:00+00:01', '!range'],
    ['9999-12-31T23:59:59.9-00:01', '!range'],
    ['0000-06-01T00:00:00Z', '!range'],
    [new Date(8.64e15), '!range'],
    [new Date(-8.64e15), '!range'],
    [new Date('0000-01-01T00:00:00Z'), '!range'],
  ])
})

t.test('an instant of any offset is the one that its offset says', async () => {
  const instants = fc.date({ min: new Date('0002-01-01'), max: new Date('9998-12-31'), noInvalidDate: true })
  fc.assert(
    fc.property(instants, fc.integer({ min: -1439, max: 1439 }), (instant, minutes) => {
      const local = new Date(instant.getTime() + minutes * 60_000).toISOString().slice(0, 23)
      const [hour, minute] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map(part =>
        String(part).padStart(2, '0'),
      )
      const written = `${local}${minutes < 0 ? '-' : '+'}${hour}:${minute}`
      return convert.timestamp(written) === `${instant.toISOString().slice(0, 23)}000Z`
    }),
  )
})

t.test('an instant is counted in seconds, milliseconds or microseconds, before 1970 too', async t => {
  const cases = [
    [0, 's', '1970-01-01T00:00:00.000000Z'],
    [-0, 'us', '1970-01-01T00:00:00.000000Z'],
    ['1769835967', 's', '2026-01-31T05:06:07.000000Z'],
    [1_769_835_967_123, 'ms', '2026-01-31T05:06:07.123000Z'],
    ['1769835967123456', 'us', '2026-01-31T05:06:07.123456Z'],
    [-1, 's', '1969-12-31T23:59:59.000000Z'],
    [-1, 'ms', '1969-12-31T23:59:59.999000Z'],
    [-1, 'us', '1969-12-31T23:59:59.999999Z'],
    ['-62135596800', 's', '0001-01-01T00:00:00.000000Z'],
    ['253402300799999999', 'us', '9999-12-31T23:59:59.999999Z'],
    ['-62135596800000001', 'us', '!range'],
    ['253402300800', 's', '!range'],
    ['9223372036854775807', 's', '!range'],
    ['9223372036854775808', 'us', '!range'],
    [1.5, 's', '!type'],
    ['1.5', 's', '!type'],
    [Number.NaN, 'ms', '!type'],
    [2 ** 60, 'us', '!precision'],
    [new Date(0), 'ms', '!type'],
    [null, 's', '!required'],
    [undefined, 's', '!required'],
  ] as const
  for (const [value, unit, expected] of cases) {
    t.equal(
      outcome(counted => convert.epoch(counted, unit), value),
      expected,
      `${inspect(value)} ${unit}`,
    )
  }
})

t.test('a refused instant is reported as it came, not as it was computed', async t => {
  for (const [work, value] of [
    [() => convert.epoch('253402300800', 's'), '253402300800'],
    [() => convert.timestamp('9999-12-31T23:59:59.9-00:01'), '9999-12-31T23:59:59.9-00:01'],
  ] as const) {
    try {
      work()
      t.fail('must be refused')
    } catch (thrown) {
      t.equal((thrown as convert.Refusal).value, value)
    }
  }
})

t.test('JSON keeps what it is given', async t => {
  outcomes(t, convert.json, [
    [{ a: [1, null, 'x'] }, '{"a":[1,null,"x"]}'],
    [[], '[]'],
    ['text "quoted"', '"text \\"quoted\\""'],
    [0, '0'],
    [false, 'false'],
    [{ a: 'a backslash \\ud800 written out, and 😀' }, '{"a":"a backslash \\\\ud800 written out, and 😀"}'],
  ])
})

t.test('JSON that a warehouse could not read back is refused', async t => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  outcomes(t, convert.json, [
    [{ a: '\ud800' }, '!type'],
    [{ '\udfff': 1 }, '!type'],
    ['\\\udc00', '!type'],
    [circle, '!type'],
    [{ a: 1n }, '!type'],
    [() => 1, '!type'],
    [Symbol('s'), '!type'],
  ])
})
