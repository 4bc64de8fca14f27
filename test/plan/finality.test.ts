import t from 'tap'
import { type Finality, finalThrough } from '../../lib/plan/finality.ts'

const at = Date.parse
const DAILY = { name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }
const MONTHLY = { name: 'monthly', cron: '0 2 1 * *', lookbackDays: 60 }

/** Complete through the 24th of November 2026, and nothing open. */
const known: Finality = {
  timeZone: 'UTC',
  coverage: { first: '2026-01-01', completeThrough: '2026-11-24' },
  occasions: [{ schedule: 'daily', at: at('2026-11-25T06:00:00Z') }],
  open: [],
}

t.test('without schedules, what is complete is final', async t => {
  t.equal(finalThrough({ schedule: [] }, { ...known, occasions: [] }), '2026-11-24')
})

t.test('a day is final once the next occasion looks back to later days only', async t => {
  // On the 26th the 23rd to the 25th are read.
  t.equal(finalThrough({ schedule: [DAILY] }, known), '2026-11-22')
  const yesterday = [{ schedule: 'daily', at: at('2026-11-24T06:00:00Z') }]
  t.equal(finalThrough({ schedule: [DAILY] }, { ...known, occasions: yesterday }), '2026-11-21')
})

t.test('of several schedules, the one that looks back furthest decides', async t => {
  const occasions = [...known.occasions, { schedule: 'monthly', at: at('2026-11-01T02:00:00Z') }]
  // On the first of December the second of October to the end of November are read.
  t.equal(finalThrough({ schedule: [DAILY, MONTHLY] }, { ...known, occasions }), '2026-10-01')
})

t.test('nothing is final as long as a schedule was never answered', async t => {
  t.equal(finalThrough({ schedule: [DAILY, MONTHLY] }, known), null)
})

t.test('nothing is final from a gap on, nor from what is still open', async t => {
  const schedule = [DAILY]
  t.equal(
    finalThrough({ schedule }, { ...known, coverage: { first: '2026-01-01', completeThrough: '2026-11-10' } }),
    '2026-11-10',
  )
  const open = [
    { from: '2026-11-22', to: '2026-11-24' },
    { from: '2026-11-05', to: '2026-11-05' },
  ]
  t.equal(finalThrough({ schedule }, { ...known, open }), '2026-11-04')
  t.equal(finalThrough({ schedule: [] }, { ...known, open: open.slice(0, 1) }), '2026-11-21')
})

t.test('nothing is final when nothing is published, or only days that are read again', async t => {
  const schedule = [DAILY]
  t.equal(finalThrough({ schedule }, { ...known, coverage: { first: null, completeThrough: null } }), null)
  t.equal(finalThrough({ schedule }, { ...known, coverage: { first: '2026-11-23', completeThrough: '2026-11-24' } }), null)
  t.equal(
    finalThrough({ schedule }, { ...known, coverage: { first: '2026-11-22', completeThrough: '2026-11-24' } }),
    '2026-11-22',
  )
})

t.test('days are those of the calendar of the client', async t => {
  const kiritimati = {
    ...known,
    timeZone: 'Pacific/Kiritimati',
    occasions: [{ schedule: 'daily', at: at('2026-11-24T16:00:00Z') }],
  }
  t.equal(finalThrough({ schedule: [DAILY] }, kiritimati), '2026-11-22', 'six in the morning of the 25th there')
})
