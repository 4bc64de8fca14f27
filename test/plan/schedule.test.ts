import fc from 'fast-check'
import t from 'tap'
import { addDays, daysOf } from '../../lib/chunk.ts'
import { cronProblem, dayAt, isTimeZone, lastOccasion, nextOccasion } from '../../lib/plan/schedule.ts'

const at = Date.parse
const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 16)

/** The occasions after the first day begins in UTC, as many as are asked for. */
function occasions(cron: string, zone: string, from: string, count: number): string[] {
  const found: number[] = []
  for (let now = at(`${from}T00:00:00Z`); found.length < count; ) {
    now = nextOccasion({ cron }, zone, now)
    found.push(now)
  }
  return found.map(iso)
}

t.test('an occasion belongs to the instant it comes at, and the next one comes after it', async t => {
  const six = at('2026-11-25T06:00:00Z')
  const daily = { cron: '0 6 * * *' }
  for (const [now, last, next] of [
    [six - 1, '2026-11-24T06:00', '2026-11-25T06:00'],
    [six, '2026-11-25T06:00', '2026-11-26T06:00'],
    [six + 1, '2026-11-25T06:00', '2026-11-26T06:00'],
    [six + 999, '2026-11-25T06:00', '2026-11-26T06:00'],
  ] as const) {
    t.equal(iso(lastOccasion(daily, 'UTC', now)), last)
    t.equal(iso(nextOccasion(daily, 'UTC', now)), next)
  }
})

t.test('a time that is skipped when the clock goes forward is due once, when the clock goes on', async t => {
  t.same(occasions('30 2 * * *', 'Europe/Berlin', '2026-03-28', 3), ['2026-03-28T01:30', '2026-03-29T01:00', '2026-03-30T00:30'])
  t.same(occasions('0 2 * * *', 'America/New_York', '2026-03-07', 3), [
    '2026-03-07T07:00',
    '2026-03-08T07:00',
    '2026-03-09T06:00',
  ])
  // Midnight itself is skipped.
  t.same(occasions('0 0 * * *', 'America/Santiago', '2026-09-05', 3), [
    '2026-09-05T04:00',
    '2026-09-06T04:00',
    '2026-09-07T03:00',
  ])
  // By half an hour.
  t.same(occasions('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02', 3), [
    '2026-10-02T15:45',
    '2026-10-03T15:30',
    '2026-10-04T15:15',
  ])
})

t.test('a time that comes twice when the clock goes back is due once, the first time', async t => {
  t.same(occasions('30 2 * * *', 'Europe/Berlin', '2026-10-24', 3), ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30'])
  t.same(occasions('30 1 * * *', 'America/New_York', '2026-10-31', 3), [
    '2026-10-31T05:30',
    '2026-11-01T05:30',
    '2026-11-02T06:30',
  ])
  t.same(occasions('45 1 * * *', 'Australia/Lord_Howe', '2026-04-03', 3), [
    '2026-04-03T14:45',
    '2026-04-04T14:45',
    '2026-04-05T15:15',
  ])
})

t.test('each of several times a day is due once on the days on which the clock is changed', async t => {
  t.same(occasions('30 2,14 * * *', 'Europe/Berlin', '2026-03-29', 2), ['2026-03-29T01:00', '2026-03-29T12:30'])
  t.same(occasions('30 2,14 * * *', 'Europe/Berlin', '2026-10-25', 2), ['2026-10-25T00:30', '2026-10-25T13:30'])
})

t.test('an hourly schedule is due every hour that passes', async t => {
  t.same(occasions('0 * * * *', 'Europe/Berlin', '2026-10-25', 3), ['2026-10-25T01:00', '2026-10-25T02:00', '2026-10-25T03:00'])
  t.same(occasions('0 * * * *', 'Europe/Berlin', '2026-03-29', 3), ['2026-03-29T01:00', '2026-03-29T02:00', '2026-03-29T03:00'])
})

t.test('months without the day, and years without it, are left out', async t => {
  t.same(occasions('0 3 31 * *', 'Asia/Kathmandu', '2026-01-01', 3), ['2026-01-30T21:15', '2026-03-30T21:15', '2026-05-30T21:15'])
  t.same(occasions('0 3 29 2 *', 'America/St_Johns', '2026-01-01', 2), ['2028-02-29T06:30', '2032-02-29T06:30'])
  t.same(occasions('0 3 L * *', 'UTC', '2028-01-01', 3), ['2028-01-31T03:00', '2028-02-29T03:00', '2028-03-31T03:00'])
  t.equal(iso(lastOccasion({ cron: '0 3 29 2 *' }, 'UTC', at('2027-06-01T00:00:00Z'))), '2024-02-29T03:00')
})

t.test('a day that a zone left out has no occasion', async t => {
  // Samoa went from the 29th to the 31st of December 2011.
  t.same(occasions('0 6 * * *', 'Pacific/Apia', '2011-12-29', 2), ['2011-12-29T16:00', '2011-12-30T16:00'])
  t.equal(dayAt(at('2011-12-30T09:59:59Z'), 'Pacific/Apia'), '2011-12-29')
  t.equal(dayAt(at('2011-12-30T10:00:00Z'), 'Pacific/Apia'), '2011-12-31')
})

t.test('the day of an instant is that of the calendar on the wall', async t => {
  const noon = at('2026-01-01T12:00:00Z')
  for (const [zone, day] of [
    ['UTC', '2026-01-01'],
    ['Pacific/Kiritimati', '2026-01-02'],
    ['Pacific/Pago_Pago', '2026-01-01'],
    ['Asia/Kathmandu', '2026-01-01'],
  ] as const) {
    t.equal(dayAt(noon, zone), day, zone)
  }
  t.equal(dayAt(at('2026-11-01T02:29:59Z'), 'America/St_Johns'), '2026-10-31')
  t.equal(dayAt(at('2026-11-01T02:30:00Z'), 'America/St_Johns'), '2026-11-01')
  t.equal(dayAt(at('2025-12-31T23:59:59.999Z'), 'UTC'), '2025-12-31')
})

t.test('a daily schedule is due once on every day of any zone', async () => {
  const zones = fc.constantFrom(...Intl.supportedValuesOf('timeZone'))
  fc.assert(
    fc.property(zones, fc.nat(23), fc.nat(59), fc.nat(330), (zone, hour, minute, offset) => {
      const cron = `${minute} ${hour} * * *`
      const first = addDays('2026-01-05', offset)
      const days: string[] = []
      for (let now = at(`${first}T12:00:00Z`); days.length < 20; ) {
        now = nextOccasion({ cron }, zone, now)
        if (lastOccasion({ cron }, zone, now) !== now) return false
        days.push(dayAt(now, zone))
      }
      return days.join() === daysOf({ from: days[0] ?? '', to: addDays(days[0] ?? '', 19) }).join()
    }),
    { numRuns: 200 },
  )
})

t.test('what names no time is refused with a reason', async t => {
  for (const cron of ['0 6 * * *', '*/15 * * * *', '0 6 * * MON-FRI', '0 6 1,15 * *', '0  6 * * *'])
    t.equal(cronProblem(cron), undefined)
  for (const [cron, problem] of [
    ['', 'does not have five fields'],
    ['0 0 6 * * *', 'does not have five fields'],
    ['@daily', 'does not have five fields'],
    ['0 six * * *', 'is no expression of cron'],
    ['60 6 * * *', 'is no expression of cron: Invalid value for minute: 60'],
    ['0 6 30 2 *', 'is never due'],
    ['? 6 * * *', 'has a ?'],
  ] as const) {
    t.match(cronProblem(cron), problem)
  }
})

t.test('a time zone is known by its name in the IANA database', async t => {
  for (const zone of ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires']) t.ok(isTimeZone(zone), zone)
  for (const zone of ['', 'Mars', 'Europe/Atlantis', undefined, null, 7]) t.notOk(isTimeZone(zone), String(zone))
})
