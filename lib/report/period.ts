import { addDays, type Day, dayCount, parseWindow, toEpochDay, type Window } from '../chunk.ts'
import { ConfigError } from '../errors.ts'

/** The days that a report is about, and what they are called. */
export interface Period {
  readonly name: string
  readonly window: Window
}

/** What whoever wants a report says of its days; nothing means the last week that is over. */
export interface PeriodAsked {
  /** A week of ISO 8601, `2026-W47`. */
  readonly week?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** The most days of one report. */
const MOST_DAYS = 31

/** The days that are asked for. Throws `USAGE` when there are no such days, when they are too many, or when none of them has begun; `today` is the current day. */
export function periodOf({ week, from, to }: PeriodAsked, today: Day): Period {
  const window =
    week !== undefined ? weekWindow(week) : from === undefined && to === undefined ? lastWeek(today) : named(from, to)
  if (week !== undefined && (from !== undefined || to !== undefined))
    throw usage(`--week ${week} and --from or --to contradict each other`, 'Name one or the other.')
  if (window.from > today) throw usage(`${window.from} has not begun`, 'A report is about days that were, or are.')
  if (dayCount(window) > MOST_DAYS)
    throw usage(`${dayCount(window)} days are too many for one report`, `It covers ${MOST_DAYS} at most.`)
  const name = isoWeek(window.from)
  const isWeek = weekday(window.from) === 0 && dayCount(window) === 7
  return { name: isWeek ? `Week ${name}` : `${window.from}..${window.to}`, window }
}

/** The week of ISO 8601 that a day is in: that of its Thursday. */
export function isoWeek(day: Day): string {
  const thursday = addDays(day, 3 - weekday(day))
  const year = thursday.slice(0, 4)
  const week = Math.floor((toEpochDay(thursday) - toEpochDay(`${year}-01-01`)) / 7) + 1
  return `${year}-W${String(week).padStart(2, '0')}`
}

function named(from: string | undefined, to: string | undefined): Window {
  if (from === undefined || to === undefined)
    throw usage(`--${from === undefined ? 'from' : 'to'} is missing`, 'Name both, or a --week.')
  return parseWindow(from, to)
}

/** The Monday to Sunday before the week of a day. */
function lastWeek(today: Day): Window {
  const monday = addDays(today, -7 - weekday(today))
  return { from: monday, to: addDays(monday, 6) }
}

function weekWindow(text: string): Window {
  const [, year = '', week = ''] = /^(\d{4})-W(\d{2})$/.exec(text) ?? []
  // 4 January is always in the first week.
  const fourth = `${year}-01-04`
  const from = year === '' ? '' : addDays(fourth, 7 * (Number(week) - 1) - weekday(fourth))
  if (from === '' || isoWeek(from) !== text)
    throw usage(`--week ${text} is not a week`, 'Write weeks as ISO 8601 does: 2026-W47.')
  return { from, to: addDays(from, 6) }
}

/** 0 is Monday. */
function weekday(day: Day): number {
  return (((toEpochDay(day) + 3) % 7) + 7) % 7
}

function usage(message: string, hint: string): ConfigError {
  return new ConfigError('USAGE', { message, hint: `${hint} Nothing was read or written.` })
}
