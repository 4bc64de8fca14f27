import { fromEpochDay } from '../chunk.ts'
import { median } from './baseline.ts'
import { clientsText, type Finding } from './finding.ts'
import { findingAt, JUDGED_DAYS, type Watched } from './watched.ts'

const DAY_MS = 86_400_000

/** Published days that make a client one that was there. */
const FEWEST_DAYS = 14

/** Clients of whom nothing was published until lately, in a pipeline that is older than that. */
export function appeared(watched: Watched): Finding[] {
  const { now, clients, days } = watched
  const first = (client: string): number =>
    Math.min(...[...(days.get(client)?.values() ?? [])].map(({ publishedAt }) => publishedAt))
  const from = now - JUDGED_DAYS * DAY_MS
  if (clients.every(({ id }) => first(id) >= from)) return []
  const found = clients.filter(({ id }) => first(id) >= from).map(({ id }) => id)
  if (found.length === 0) return []
  const places = found.flatMap(client => [...(days.get(client)?.values() ?? [])].map(({ day }) => ({ client, day })))
  return [findingAt(watched, 'appeared', { subject: '', what: `${clientsText(found)} read for the first time`, places, rows: 0 })]
}

/** Clients that were read until lately and are not among the clients any more. */
export function vanished(watched: Watched): Finding[] {
  const { now, clients, days } = watched
  const here = new Set(clients.map(({ id }) => id))
  const today = Math.floor(now / DAY_MS)
  const gone = [...days].flatMap(([client, known]) => {
    const last = Math.max(...known.keys())
    // Two weeks after its last day it is history.
    if (here.has(client) || known.size < FEWEST_DAYS || last < today - 2 * JUDGED_DAYS) return []
    return [{ place: { client, day: fromEpochDay(last) }, rows: median([...known.values()].map(({ rows }) => rows)) }]
  })
  if (gone.length === 0) return []
  const places = gone.map(({ place }) => place)
  const rows = gone.reduce((sum, one) => sum + one.rows, 0)
  const what = `${clientsText(places.map(({ client }) => client))} not among the clients any more, about ${rows} rows a day`
  return [findingAt(watched, 'vanished', { subject: '', what, places, rows })]
}
