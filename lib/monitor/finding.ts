import type { Day } from '../chunk.ts'

/**
 * How urgent a finding is. `block`: not published, a person decides. `page`: wake somebody. `ticket`: within working hours. `report`: to be read
 * some time.
 */
export const LEVELS = ['block', 'page', 'ticket', 'report'] as const

/** How urgent a finding is. */
export type Level = (typeof LEVELS)[number]

/**
 * Every monitor, in one table: the levels of its findings, what they mean, what is safe, and what to do. `docs/monitoring.md` lists the same; a test
 * compares.
 */
export const MONITORS = {
  held: {
    levels: ['block'],
    means: 'Chunks were not published, because a guard holds them or every try failed.',
    safe: 'What is published stays as it was; other chunks go on.',
    action:
      'See `headrace status`: each chunk says what it needs. Correct that, or run it again, with --force if the API is right.',
  },
  freshness: {
    levels: ['page'],
    means: 'The newest day that is due is missing for many clients: later than the pipeline promises.',
    safe: 'What is published stays as it was; other chunks go on.',
    action: 'See whether the daemon runs and the API answers; `headrace status` says what waits for what.',
  },
  completeness: {
    levels: ['ticket'],
    means: 'Days that are due are missing, or were read before they were over.',
    safe: 'What is published stays as it was; other chunks go on.',
    action: 'Fill them with `headrace backfill --missing` over these days.',
  },
  landing: {
    levels: ['report'],
    means: 'Days are published later after their end than they used to be.',
    safe: 'Nothing is wrong with the data.',
    action: 'Look at the time chunks take, and at the waits the API asks for; move the schedule or the promise.',
  },
  volume: {
    levels: ['ticket'],
    means: 'Far more or far fewer rows than on the same weekday of the last eight weeks.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action:
      'Compare with the source. If the API was wrong or not ready, backfill these days; a day that is known to be special is a holiday.',
  },
  empty: {
    levels: ['page'],
    means: 'No rows, where there used to be rows, or where there never were any.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Compare with the source: access, filters and names of fields. Then backfill these days.',
  },
  repeated: {
    levels: ['page'],
    means: 'A day has the rows and the control totals of the day before, which does not happen by chance.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'The source seems to stand still. Compare with it, and backfill these days when it moves again.',
  },
  totals: {
    levels: ['ticket'],
    means: 'A control total per row, or per another total, is far from that of the same weekday.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Look for another unit or currency, a changed definition, or records that came twice in another form.',
  },
  source_totals: {
    levels: ['ticket'],
    means: 'What is published does not add up to the totals that the source itself states, and the pipeline says to publish it.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Compare with the source by campaigns or the like: records may be missing, or it adds up something else.',
  },
  nulls: {
    levels: ['ticket'],
    means: 'Far more or far fewer rows are null in a column than before.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'See whether the API still sends the field, or sends it elsewhere; then correct the mapping and backfill these days.',
  },
  range: {
    levels: ['ticket'],
    means: 'Numbers are many times larger than ever, or below zero for the first time.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action:
      'Look for another unit, or a sign. If it is wrong, demand a minimum and a maximum of the column, and backfill these days.',
  },
  distribution: {
    levels: ['ticket'],
    means: 'The declared values of a column occur in other shares than before.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Compare with the source: a filter or a part of the data may be missing.',
  },
  fields: {
    levels: ['page'],
    means: 'A field that is read went missing, or has another type.',
    safe: 'Rows that demand the field are rejected, not lost.',
    action: "Correct the mapping; `checks: { drift: 'hold' }` stops such chunks before they are published.",
  },
  new_fields: {
    levels: ['report'],
    means: 'The API sends a field that no column reads, or a value that no column declares.',
    safe: 'Nothing is wrong with the rows.',
    action: 'Decide whether a column should have it.',
  },
  rejects: {
    levels: ['ticket'],
    means: 'Far more rows are rejected than usual, though not enough for the guard to hold the chunk.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Look at them with `headrace rejects`, and correct the mapping or the table.',
  },
  appeared: {
    levels: ['report'],
    means: 'A client is read for the first time.',
    safe: 'Nothing is wrong with the data.',
    action: 'Nothing, if it should be; its past can be had with `headrace backfill`.',
  },
  vanished: {
    levels: ['ticket'],
    means: 'A client that was read until lately is not among the clients any more.',
    safe: 'What is published of it stays.',
    action: 'See whether it should be gone. What is published of it stays.',
  },
  restated: {
    levels: ['report'],
    means: 'A day changed after it was settled, or by far more than days do.',
    safe: 'The days are published as they are; nothing was lost, and other days are not concerned.',
    action: 'Tell those who used the numbers; find out from the source what happened.',
  },
  lookback: {
    levels: ['report'],
    means: 'Days still change at the end of the lookback: what changes later is not seen.',
    safe: 'What is published is what the API said when it was last read.',
    action: 'Make the lookback of the schedule longer.',
  },
  credentials: {
    levels: ['page', 'ticket'],
    means: 'A grant is missing or refused (page), or ends within a week (ticket).',
    safe: 'What is published stays. Clients with other grants go on.',
    action: 'Have the account consent again: `headrace grants consent`.',
  },
  quota: {
    levels: ['ticket'],
    means: 'An API says that little is left of a quota.',
    safe: 'Requests are spread over what is left; chunks that get nothing are parked until there is more, and then read.',
    action: 'See what is read more often than it has to be, leave backfills for later, or ask the API for more.',
  },
  cost: {
    levels: ['page', 'ticket'],
    means:
      'More bytes were billed within a day than the budget of the pipeline allows, or most of those of the month (ticket), or all of them (page).',
    safe: 'Nothing is wrong with the data.',
    action: 'See what was read again and why; shorten the lookback, or raise the budget.',
  },
  monitors: {
    levels: ['page'],
    means: 'A monitor could not be run: what it watches for goes unseen.',
    safe: 'The pipelines and the other monitors are not concerned.',
    action: 'The message says why; if headrace is at fault, report it.',
  },
} as const satisfies Readonly<
  Record<string, { readonly levels: readonly Level[]; readonly means: string; readonly safe: string; readonly action: string }>
>

/** Name of a monitor. */
export type MonitorName = keyof typeof MONITORS

/** A client and a day of it. */
export interface Place {
  readonly client: string
  readonly day: Day
}

/** Something that is wrong now, with one cause as far as can be told. */
export interface Finding {
  readonly monitor: MonitorName
  readonly level: Level
  /** What it is about within the monitor: with the monitor and the pipelines, it names the finding for as long as it lasts. */
  readonly subject: string
  /** The pipelines that are concerned. None where it is about all of them. */
  readonly pipelines: readonly string[]
  /** When it began, in epoch milliseconds. */
  readonly since: number
  /** What is wrong, with numbers. */
  readonly what: string
  /** The clients and days concerned, sorted; none where it is about something else. */
  readonly places: readonly Place[]
  /** Rows that are missing, too many or in doubt, about; 0 where that is not known. */
  readonly rows: number
}

/** The clients of some places, each once. */
export function clientsOf(places: readonly Place[]): string[] {
  return [...new Set(places.map(({ client }) => client))]
}

/** Clients that are named in one message. */
const MOST_NAMED = 5

/** `client a`, or `7 clients (a, b, c, d, e, ...)`. */
export function clientsText(clients: readonly string[]): string {
  if (clients.length === 1) return `client ${clients[0]}`
  return `${clients.length} clients (${clients.slice(0, MOST_NAMED).join(', ')}${clients.length > MOST_NAMED ? ', ...' : ''})`
}

/** The days of some places: `2026-01-01`, or from the first to the last, or none. */
export function daysText(places: readonly Place[]): string {
  const days = places.map(({ day }) => day).sort()
  const [first = '', last = ''] = [days[0], days.at(-1)]
  return first === last ? first : `${first}..${last}`
}

/** Places by day, then by client. */
export function sortedPlaces(places: readonly Place[]): Place[] {
  return [...places].sort((a, b) => (a.day === b.day ? (a.client < b.client ? -1 : 1) : a.day < b.day ? -1 : 1))
}

/** A number as people read it. */
export function numberText(number: number): string {
  return number.toLocaleString('en', Math.abs(number) < 100 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 })
}

/** A share as a percentage. */
export function percentText(share: number): string {
  return `${(share * 100).toLocaleString('en', { maximumSignificantDigits: 2 })} %`
}

/** What is so because of an API, whatever pipelines read it. */
const BY_API: ReadonlySet<MonitorName> = new Set(['held', 'freshness', 'quota'])

/** What names a finding for as long as it lasts. */
export function findingId({ monitor, pipelines, subject }: Pick<Finding, 'monitor' | 'pipelines' | 'subject'>): string {
  return [monitor, ...(BY_API.has(monitor) ? [] : pipelines), subject].join(' ').trim()
}
