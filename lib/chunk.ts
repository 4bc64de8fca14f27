import { ConfigError } from './errors.ts'

/** A calendar day in the client's own time zone, `YYYY-MM-DD`. */
export type Day = string

/** A range of whole days, both ends included. */
export interface Window {
  readonly from: Day
  readonly to: Day
}

/** What is read, staged, published, retried and remembered as one unit. */
export interface Chunk {
  readonly pipeline: string
  /** Whose data it is: an ad account, a shop, a tenant. */
  readonly client: string
  readonly window: Window
}

const DAY_MS = 86_400_000
const DAY = /^(?!0000)\d{4}-\d{2}-\d{2}$/

/** Whether the text is a day that exists, in the years 0001 to 9999. `2026-02-30` does not. */
export function isDay(text: string): boolean {
  return DAY.test(text) && fromEpochDay(toEpochDay(text)) === text
}

/** Days since 1970-01-01. `NaN` for text that is not a date. */
export function toEpochDay(day: Day): number {
  return Date.parse(`${day}T00:00:00Z`) / DAY_MS
}

/** The inverse of `toEpochDay`. */
export function fromEpochDay(epochDay: number): Day {
  return Number.isFinite(epochDay) ? new Date(epochDay * DAY_MS).toISOString().slice(0, 10) : ''
}

/** The day `count` days later; earlier when negative. */
export function addDays(day: Day, count: number): Day {
  return fromEpochDay(toEpochDay(day) + count)
}

/** How many days a window covers. */
export function dayCount(window: Window): number {
  return toEpochDay(window.to) - toEpochDay(window.from) + 1
}

/** The days of a window, in order. */
export function daysOf(window: Window): Day[] {
  const first = toEpochDay(window.from)
  return Array.from({ length: dayCount(window) }, (_, index) => fromEpochDay(first + index))
}

/** A window from two texts, or a `ConfigError` that names the one that is wrong. */
export function parseWindow(from: string, to: string): Window {
  for (const [name, text] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (!isDay(text)) {
      throw new ConfigError('USAGE', {
        message: `--${name} ${text} is not a day`,
        hint: 'Write days as YYYY-MM-DD. Nothing was read or written.',
      })
    }
  }
  if (to < from) {
    throw new ConfigError('USAGE', { message: `--to ${to} is before --from ${from}`, hint: 'Nothing was read or written.' })
  }
  return { from, to }
}

/** Splits a window into windows of at most `days` days, oldest first. */
export function splitWindow(window: Window, days: number): Window[] {
  const first = toEpochDay(window.from)
  const last = toEpochDay(window.to)
  return Array.from({ length: Math.ceil(dayCount(window) / days) }, (_, index) => ({
    from: fromEpochDay(first + index * days),
    to: fromEpochDay(Math.min(first + (index + 1) * days - 1, last)),
  }))
}

/** The two halves of a window of several days, the earlier one first and not the shorter; one day cannot be halved. */
export function halvesOf(window: Window): Window[] {
  return dayCount(window) === 1 ? [] : splitWindow(window, Math.ceil(dayCount(window) / 2))
}

/** `2026-01-01..2026-01-03`, or one day alone. */
export function windowText(window: Window): string {
  return window.from === window.to ? window.from : `${window.from}..${window.to}`
}

/** `pipeline/client/window`, the way a chunk is named to people. */
export function chunkText(chunk: Chunk): string {
  return `${chunk.pipeline}/${chunk.client}/${windowText(chunk.window)}`
}
