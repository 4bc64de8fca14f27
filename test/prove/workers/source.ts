import { addDays, type Day, daysOf, type Window } from '../../../lib/chunk.ts'

/** What the API has, and what the table must hold in the end. */
export interface Measure {
  readonly account: string
  readonly day: Day
  readonly item: string
  readonly clicks: number
}

/** Both pipelines, the second after the first, each with a list of its own at the API. */
export const PIPELINES = ['campaigns', 'ads'] as const

/** Whose data it is. */
export const CLIENTS: readonly string[] = Array.from({ length: 20 }, (_, index) => `client-${index + 10}`)

/** Days that a schedule reads, which is due once a year. */
export const LOOKBACK_DAYS = 7

/** The days before the last New Year. */
export const DUE: Window = windowOf(new Date().getUTCFullYear())

function windowOf(year: number): Window {
  return { from: addDays(`${year}-01-01`, -LOOKBACK_DAYS), to: addDays(`${year}-01-01`, -1) }
}

/** Everything that the API says of a client and a day. */
export function measures(list: string, account: string, day: Day): Measure[] {
  return ['x', 'y', 'z'].map((name, index) => ({
    account,
    day,
    item: `${list} ${name}`,
    clicks: Number(day.slice(-2)) * 100 + Number(account.slice(-2)) * 10 + index,
  }))
}

/** The same for all clients and days of a pipeline, as rows of its table in their order. */
export function expected(list: string): Record<string, unknown>[] {
  return CLIENTS.flatMap(account =>
    daysOf(DUE).flatMap(of =>
      measures(list, account, of).map(({ day, item, clicks }) => ({ client_id: account, day, item, clicks: String(clicks) })),
    ),
  )
}
