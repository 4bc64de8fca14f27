import { addDays, type Day, daysOf, type Window } from '../../../lib/chunk.ts'
import { type AdRecord, ad } from '../../support/ads.ts'

/** A week that goes well and one of faults, from the same past, and what the APIs say in them. Instants in epoch milliseconds. */

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Mondays: the daemon begins; the recorded week begins. No zone changes its clocks in between. */
export const START = Date.UTC(2026, 0, 26)
export const MONDAY = START + 7 * DAY

/** The week of faults ends a day later: what comes right on its last day is read on the next. */
export const ENDS = { healthy: MONDAY + 7 * DAY, faulty: MONDAY + 8 * DAY } as const

/** One of the two. */
export type Week = keyof typeof ENDS

/** An instant of the week: `at(0, 5, 30)` is its Monday, 05:30 UTC. */
const at = (day: number, hour: number, minute = 0): number => MONDAY + day * DAY + hour * HOUR + minute * MINUTE

/** When a fault begins, and when its cause is over. */
export interface Span {
  readonly from: number
  readonly to: number
}

export const FAULTS = {
  hour: { from: at(0, 4, 50), to: at(0, 5, 50) },
  night: { from: at(0, 20), to: at(1, 11, 40) },
  revoked: { from: at(2, 3), to: at(3, 12) },
  altered: { from: at(3, 3), to: at(3, 13) },
  killed: { from: at(4, 5), to: at(4, 9) },
  halved: { from: at(5, 3), to: at(5, 20) },
  rejects: { from: at(5, 3), to: at(5, 14) },
  quota: { from: at(6, 0), to: at(7, 0) },
  zero: { from: at(6, 3), to: at(6, 20) },
} as const satisfies Readonly<Record<string, Span>>

/** What goes wrong. */
export type FaultName = keyof typeof FAULTS

/** Says which faults are there at an instant, in the week that is lived. */
export type During = (fault: FaultName, now: number) => boolean

/** A week in which nothing goes wrong, or everything does at its time. */
export function duringOf(week: Week): During {
  return (fault, now) => week === 'faulty' && now >= FAULTS[fault].from && now < FAULTS[fault].to
}

/** Seven clients whose day is read at 05:00 UTC, and three at 11:00. */
export const CLIENTS = Array.from({ length: 10 }, (_, index) => ({
  id: `c${String(index + 1).padStart(2, '0')}`,
  timeZone: index < 7 ? 'Europe/Berlin' : 'America/New_York',
}))

/** Clients that something happens to alone. */
export const VICTIMS = { revoked: 'c05', quota: 'c03', zero: 'c02', halved: ['c01', 'c02', 'c03', 'c04'] } as const

export const PIPELINES = ['ads', 'shop', 'visits'] as const

/** A number that follows from a text, from 0 to below `below`. */
function draw(text: string, below: number): number {
  let hash = 2_166_136_261
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619)
  return ((hash ^ (hash >>> 15)) >>> 0) % below
}

/** Records of a day: fewer on weekends, and never quite the same number. */
function countOf(api: string, client: string, day: Day): number {
  const weekend = [0, 6].includes(new Date(`${day}T00:00:00Z`).getUTCDay())
  return Math.round((weekend ? 50 : 70) * (0.95 + draw(`${api} ${client} ${day}`, 11) / 100))
}

/** What an API says of a client and some days at an instant. */
export function recordsOf(api: string, client: string, window: Window, now: number, during: During): AdRecord[] {
  const yesterday = addDays(new Date(now).toISOString().slice(0, 10), -1)
  return daysOf(window).flatMap(day => {
    const whole = Array.from({ length: countOf(api, client, day) }, (_, n) => {
      const seed = `${api} ${client} ${day} ${n}`
      const refused = api === 'shop' && during('rejects', now) && n % 20 === 7
      return ad(client, day, `k${n}`, draw(seed, 100), refused ? '-1' : String(10_000 * (1 + draw(`cost ${seed}`, 300))))
    })
    if (api !== 'ads' || day !== yesterday) return whole
    if (during('halved', now) && VICTIMS.halved.some(one => one === client)) return whole.slice(0, whole.length / 2)
    return during('zero', now) && client === VICTIMS.zero ? [] : whole
  })
}
