import fc from 'fast-check'
import t from 'tap'
import { addDays, dayCount, fromEpochDay } from '../../lib/chunk.ts'
import { isoWeek, periodOf } from '../../lib/report/period.ts'

const TODAY = '2026-11-25'

t.test('without a word it is the last week that is over, Monday to Sunday', async t => {
  for (const [today, from] of [
    ['2026-11-22', '2026-11-09'],
    ['2026-11-23', '2026-11-16'],
    ['2026-11-29', '2026-11-16'],
  ] as const) {
    t.same(periodOf({}, today).window, { from, to: addDays(from, 6) }, today)
  }
  t.equal(periodOf({}, TODAY).name, 'Week 2026-W47')
})

t.test('a week is one of ISO 8601, also where years meet', async t => {
  for (const [week, from] of [
    ['2020-W53', '2020-12-28'],
    ['2021-W01', '2021-01-04'],
    ['2024-W01', '2024-01-01'],
    ['2025-W01', '2024-12-30'],
    ['2026-W48', '2026-11-23'],
  ] as const) {
    t.same(periodOf({ week }, TODAY), { name: `Week ${week}`, window: { from, to: addDays(from, 6) } })
  }
})

t.test('every day is in exactly one week, which is found by its name', async () => {
  fc.assert(
    fc.property(fc.integer({ min: -20_000, max: 20_400 }), epochDay => {
      const day = fromEpochDay(epochDay)
      const { window } = periodOf({ week: isoWeek(day) }, TODAY)
      return window.from <= day && day <= window.to && dayCount(window) === 7
    }),
  )
})

t.test('other days are called by their first and last', async t => {
  const window = { from: '2026-11-01', to: '2026-11-15' }
  t.same(periodOf(window, TODAY), { name: '2026-11-01..2026-11-15', window })
  t.equal(periodOf({ from: '2026-11-16', to: '2026-11-22' }, TODAY).name, 'Week 2026-W47')
})

t.test('what names no days that can be reported is refused, and says why', async t => {
  for (const [asked, message] of [
    [{ week: '2025-W53' }, '--week 2025-W53 is not a week'],
    [{ week: '2026-W00' }, '--week 2026-W00 is not a week'],
    [{ week: '47' }, '--week 47 is not a week'],
    [{ week: '2026-W49' }, '2026-11-30 has not begun'],
    [{ week: '2026-W47', from: '2026-11-16' }, '--week 2026-W47 and --from or --to contradict each other'],
    [{ from: '2026-11-16' }, '--to is missing'],
    [{ to: '2026-11-16' }, '--from is missing'],
    [{ from: '2026-11-31', to: '2026-12-01' }, '--from 2026-11-31 is not a day'],
    [{ from: '2026-10-01', to: '2026-11-01' }, '32 days are too many for one report'],
  ] as const) {
    t.throws(() => periodOf(asked, TODAY), { code: 'USAGE', message, hint: /Nothing was read or written/ }, message)
  }
})
