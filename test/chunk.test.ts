import fc from 'fast-check'
import t from 'tap'
import {
  addDays,
  chunkText,
  dayCount,
  daysOf,
  fromEpochDay,
  halvesOf,
  isDay,
  parseWindow,
  splitWindow,
  toEpochDay,
  windowText,
} from '../lib/chunk.ts'
import { ConfigError } from '../lib/errors.ts'

/** Any window of up to 1,000 days, of any century. */
const windows = fc
  .tuple(fc.integer({ min: toEpochDay('0004-01-01'), max: toEpochDay('9999-12-31') }), fc.nat({ max: 999 }))
  .map(([first, more]) => ({ from: fromEpochDay(first), to: fromEpochDay(Math.min(first + more, toEpochDay('9999-12-31'))) }))

t.test('a day is a date of the calendar, written in full', async t => {
  for (const day of ['2026-01-31', '2024-02-29', '2000-02-29', '0001-01-01', '9999-12-31']) t.ok(isDay(day), day)
  for (const text of ['2026-02-30', '2023-02-29', '1900-02-29', '2026-13-01', '2026-00-01', '2026-01-00', '2026-01-32']) {
    t.notOk(isDay(text), text)
  }
  for (const text of [
    '',
    '2026-1-1',
    '20260131',
    '2026-01-31T00:00:00Z',
    ' 2026-01-31',
    '2026-01-31\n',
    '0000-01-01',
    '+010000-01-01',
  ]) {
    t.notOk(isDay(text), JSON.stringify(text))
  }
})

t.test('days are counted on over month, year and leap day', async t => {
  t.equal(addDays('2024-02-28', 1), '2024-02-29')
  t.equal(addDays('2024-03-01', -1), '2024-02-29')
  t.equal(addDays('2025-12-31', 1), '2026-01-01')
  t.equal(addDays('1969-12-31', 1), '1970-01-01')
  t.equal(addDays('2026-01-31', 0), '2026-01-31')
  fc.assert(fc.property(windows, fc.nat({ max: 1_000 }), ({ from }, count) => addDays(addDays(from, -count), count) === from))
})

t.test('a window covers both of its ends', async t => {
  t.same(daysOf({ from: '2026-02-27', to: '2026-03-02' }), ['2026-02-27', '2026-02-28', '2026-03-01', '2026-03-02'])
  t.same(daysOf({ from: '2026-02-27', to: '2026-02-27' }), ['2026-02-27'])
  t.equal(dayCount({ from: '2024-01-01', to: '2024-12-31' }), 366)
  fc.assert(
    fc.property(windows, window => {
      const days = daysOf(window)
      return days.length === dayCount(window) && days.every(isDay) && days[0] === window.from && days.at(-1) === window.to
    }),
    { numRuns: 50 },
  )
})

t.test('a window is split so that every day is in exactly one part of at most so many days', async () => {
  fc.assert(
    fc.property(windows, fc.integer({ min: 1, max: 400 }), (window, days) => {
      const parts = splitWindow(window, days)
      const together = parts.flatMap(daysOf)
      return (
        JSON.stringify(together) === JSON.stringify(daysOf(window)) &&
        parts.every(part => dayCount(part) <= days) &&
        parts.slice(0, -1).every(part => dayCount(part) === days)
      )
    }),
    { numRuns: 200 },
  )
})

t.test('a window that ends with the calendar is split like any other', async t => {
  t.same(splitWindow({ from: '9999-12-29', to: '9999-12-31' }, 2), [
    { from: '9999-12-29', to: '9999-12-30' },
    { from: '9999-12-31', to: '9999-12-31' },
  ])
})

t.test('a window is read from two texts', async t => {
  t.same(parseWindow('2026-01-01', '2026-01-31'), { from: '2026-01-01', to: '2026-01-31' })
  t.same(parseWindow('2026-01-01', '2026-01-01'), { from: '2026-01-01', to: '2026-01-01' })
})

t.test('a window that makes no sense says which end is wrong', async t => {
  for (const [from, to, message] of [
    ['2026-02-30', '2026-03-01', '--from 2026-02-30 is not a day'],
    ['2026-01-01', 'today', '--to today is not a day'],
    ['2026-01-02', '2026-01-01', '--to 2026-01-01 is before --from 2026-01-02'],
  ] as const) {
    const error = caught(() => parseWindow(from, to))
    t.ok(error instanceof ConfigError)
    t.match(error, { code: 'USAGE', message, hint: /Nothing was read or written/ })
  }
})

function caught(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

t.test('windows and chunks are named the way people write them', async t => {
  t.equal(windowText({ from: '2026-01-01', to: '2026-01-03' }), '2026-01-01..2026-01-03')
  t.equal(windowText({ from: '2026-01-01', to: '2026-01-01' }), '2026-01-01')
  t.equal(
    chunkText({ pipeline: 'ads', client: 'a/b', window: { from: '2026-01-01', to: '2026-01-02' } }),
    'ads/a/b/2026-01-01..2026-01-02',
  )
})

t.test('halves hold every day of a window once, differ by one day at most, and end at single days', async () => {
  fc.assert(
    fc.property(windows, window => {
      const halves = halvesOf(window)
      if (dayCount(window) === 1) return halves.length === 0
      const [first = 0, second = 0] = halves.map(dayCount)
      return halves.length === 2 && halves.flatMap(daysOf).join() === daysOf(window).join() && [0, 1].includes(first - second)
    }),
  )
})
