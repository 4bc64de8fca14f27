import t from 'tap'
import { baselineOf, median } from '../../lib/monitor/baseline.ts'

const NONE = new Set<number>()

/** Values of so many days before day 100. */
function valuesOf(count: number, value: (epochDay: number) => number): Map<number, number> {
  return new Map(Array.from({ length: count }, (_, index) => [99 - index, value(99 - index)]))
}

t.test('a median is the middle one, or what is between the two in the middle', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([10, 1, 3, 2]), 2.5)
  t.ok(Number.isNaN(median([])))
})

t.test('a day is expected to be like its weekday', async t => {
  const values = valuesOf(56, epochDay => (epochDay % 7 === 100 % 7 ? 50 : 100))
  t.match(baselineOf(values, 100, NONE), { expected: 50, spread: 0 })
  t.match(baselineOf(values, 101, NONE), { expected: 100 })
})

t.test('nothing is expected while the weekday has fewer than four values', async t => {
  t.equal(
    baselineOf(
      valuesOf(27, () => 10),
      100,
      NONE,
    ),
    undefined,
  )
  t.match(
    baselineOf(
      valuesOf(28, () => 10),
      100,
      NONE,
    ),
    { expected: 10 },
  )
})

t.test('holidays count for nothing: neither as history nor for the level', async t => {
  const holidays = new Set([93, 86])
  const values = valuesOf(42, epochDay => (holidays.has(epochDay) ? 0 : 10))
  t.match(baselineOf(values, 100, holidays), { expected: 10 })
  t.equal(
    baselineOf(
      valuesOf(35, () => 10),
      100,
      new Set([93, 86]),
    ),
    undefined,
    'three weeks are left',
  )
})

t.test('a few wild days change neither what is expected nor how far days usually are from it', async t => {
  const calm = baselineOf(
    valuesOf(56, epochDay => 100 + (epochDay % 5)),
    100,
    NONE,
  )
  const wild = baselineOf(
    valuesOf(56, epochDay => (epochDay % 20 === 0 ? 9_000 : 100 + (epochDay % 5))),
    100,
    NONE,
  )
  t.ok(Math.abs((wild?.expected ?? 0) - (calm?.expected ?? 0)) < 3)
  t.ok((wild?.spread ?? 1e9) < 5)
})

t.test('a new level is the level once most of a week has it, and not before', async t => {
  const since = (days: number) =>
    baselineOf(
      valuesOf(56, epochDay => (epochDay >= 100 - days ? 200 : 100)),
      100,
      NONE,
    )?.expected
  t.equal(since(3), 100)
  t.equal(since(4), 200)
})

t.test('values that scatter about zero have no level', async t => {
  const values = valuesOf(56, epochDay => (epochDay % 2 === 0 ? 40 : -40) + (epochDay > 92 ? 30 : 0))
  const { expected = Number.NaN } = baselineOf(values, 100, NONE) ?? {}
  t.ok(Math.abs(expected) <= 40)
})
