import { Cron } from 'croner'
import type { Day } from '../chunk.ts'

/** When a pipeline reads by itself, and which days. */
export interface Schedule {
  /** Lower-case words joined by hyphens; names it in the ledger. Under another name it is a schedule that never was due. */
  readonly name: string
  /**
   * Minute, hour, day of the month, month, day of the week, as in crontab(5), on the clock of the client's time zone: `0 6 * * *` is six in
   * the morning. A time that a change of the clock skips is due when the clock goes on, one that comes twice is due the first time.
   */
  readonly cron: string
  /** How many days are read, 1 to 366; the last one is the day before the occasion. */
  readonly lookbackDays: number
}

/** What is wrong with an expression of cron, if anything. */
export function cronProblem(cron: string): string | undefined {
  if (String(cron).trim().split(/\s+/).length !== 5) return 'does not have five fields: minute, hour, day, month, day of the week'
  // croner takes it for the time at which the expression is read.
  if (cron.includes('?')) return 'has a ?, which names no time'
  try {
    return compiled(cron, 'UTC').nextRun() === null ? 'is never due' : undefined
  } catch (error) {
    return `is no expression of cron: ${error instanceof Error ? error.message.replace('CronPattern: ', '') : error}`
  }
}

/** The newest occasion at or before an instant. Both are epoch milliseconds. */
export function lastOccasion({ cron }: Pick<Schedule, 'cron'>, timeZone: string, now: number): number {
  const [at] = compiled(cron, timeZone).previousRuns(1, new Date(wholeSecond(now) + 1_000))
  return instant(at, cron)
}

/** The first occasion after an instant. Both are epoch milliseconds. */
export function nextOccasion({ cron }: Pick<Schedule, 'cron'>, timeZone: string, now: number): number {
  return instant(compiled(cron, timeZone).nextRun(new Date(wholeSecond(now))), cron)
}

/** The day of an instant, in epoch milliseconds, on the calendar of a time zone. */
export function dayAt(ms: number, timeZone: string): Day {
  const parts = Object.fromEntries(
    calendar(timeZone)
      .formatToParts(ms)
      .map(({ type, value }) => [type, value]),
  )
  return `${parts.year}-${parts.month}-${parts.day}`
}

/** Whether there is a time zone of this name in the IANA database. */
export function isTimeZone(name: unknown): name is string {
  if (typeof name !== 'string') return false
  try {
    return calendar(name) !== undefined
  } catch {
    return false
  }
}

/** Lists and ranges of hours are fixed times like single hours: none of them is left out, or due twice, when the clock is changed. */
function compiled(cron: string, timeZone: string): Cron {
  return new Cron(cron, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard' })
}

const calendars = new Map<string, Intl.DateTimeFormat>()

/** Making one takes a hundred times as long as using it. */
function calendar(timeZone: string): Intl.DateTimeFormat {
  const made =
    calendars.get(timeZone) ??
    new Intl.DateTimeFormat('en', { timeZone, calendar: 'iso8601', year: 'numeric', month: '2-digit', day: '2-digit' })
  calendars.set(timeZone, made)
  return made
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000
}

function instant(at: Date | null | undefined, cron: string): number {
  if (at === null || at === undefined) throw new Error(`${cron} is never due`)
  return at.getTime()
}
