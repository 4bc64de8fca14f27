import { addDays, type Day, daysOf, toEpochDay, type Window } from '../chunk.ts'
import type { Client } from '../config.ts'
import type { ChunkRecord, Ledger, Restatement } from '../ledger/ledger.ts'
import type { ListedChunk } from '../ledger/lists.ts'
import type { CalendarDay } from '../ledger/overview.ts'
import type { Pipeline } from '../pipeline.ts'
import { newest, turnsAt } from '../plan/due.ts'
import { type Standing, standingsOf } from './standing.ts'

/** What can be said of one day of one client, the worst that holds. */
export const DAY_STATES = {
  held: 'read, and held for a person to decide',
  failed: 'every try failed',
  parked: 'put off, because the API asked for it',
  missing: 'should be there, and nobody reads it',
  reading: 'being read',
  waiting: 'waits to be read',
  restated: 'published anew this week with other numbers',
  published: 'published',
  notDue: 'not due',
} as const

/** Name of such a state. */
export type DayState = keyof typeof DAY_STATES

/** States that somebody should look at. */
export const WRONG: readonly DayState[] = ['held', 'failed', 'parked', 'missing']

/** One day of one client. */
export interface DayCell {
  readonly day: Day
  readonly state: DayState
  /** What is published of it; null when nothing is. */
  readonly published: Pick<CalendarDay, 'rows' | 'doubtful'> | null
}

/** A client of a pipeline, day by day. */
export interface CalendarRow extends Standing {
  /** The last day that should be there by now; null when none should. */
  readonly dueThrough: Day | null
  readonly cells: readonly DayCell[]
  /** Whether something of it needs somebody: in the days that are shown, or before. */
  readonly wrong: boolean
  /** Whether every day is there that should be. */
  readonly complete: boolean
}

/** A pipeline, client by client and day by day. */
export interface Calendar {
  readonly window: Window
  readonly rows: readonly CalendarRow[]
  /** Chunks that are held, failed or parked, newest first. */
  readonly problems: readonly ChunkRecord[]
  /** Chunks that are being read or staged. */
  readonly reading: readonly ListedChunk[]
  /** Days published anew in the last seven days, newest first. */
  readonly restatements: readonly Restatement[]
}

/** How many days are shown. */
const DAYS = 28

const WEEK_MS = 7 * 86_400_000

/** Chunks that wait, and restatements, that are looked at; there may be more of a backfill. */
const MANY = 20_000

/** What the days of a pipeline are at an instant: those of a window, or by default of the four weeks up to the last day that anything is known of. */
export async function calendarOf(
  pipeline: Pipeline,
  clients: readonly Client[],
  ledger: Ledger,
  now: number,
  shown?: Window,
): Promise<Calendar> {
  const { name } = pipeline
  const { standings, problems } = await standingsOf(pipeline, clients, { through: '9999-12-31' }, ledger)
  const waiting = await ledger.chunks({ pipeline: name, state: 'pending' }, MANY)
  const reading = [
    ...(await ledger.chunks({ pipeline: name, state: 'running' }, MANY)),
    ...(await ledger.chunks({ pipeline: name, state: 'staged' }, MANY)),
  ]
  const restatements = (await ledger.restatements(name, MANY)).filter(({ at }) => at > now - WEEK_MS)
  const zones = new Map(clients.map(({ id, timeZone }) => [id, timeZone]))
  const dueThrough = ({ client, extent }: Standing): Day | null => {
    const turns = turnsAt(pipeline.schedule, zones.get(client) ?? 'UTC', now)
    return turns.length > 0 ? newest(turns) : (extent?.last ?? null)
  }
  const due = standings.map(dueThrough)
  const known = [...due, ...standings.map(({ extent }) => extent?.last), ...reading.map(({ chunk }) => chunk.window.to)]
  const to = known.reduce<Day>((a, b) => (b !== null && b !== undefined && b > a ? b : a), '0001-02-01')
  const window = shown ?? { from: addDays(to, 1 - DAYS), to }
  const published = Map.groupBy(await ledger.calendar(name, window), ({ client }) => client)
  const of = byClient({ waiting, reading, restatements })
  const rows = standings.map((standing, index): CalendarRow => {
    const { client, first, completeThrough } = standing
    const last = due[index] ?? null
    const own = { ...of(client), problems: problems.get(client) ?? [] }
    const days = new Map((published.get(client) ?? []).map(day => [day.day, day]))
    const cells = daysOf(window).map((day): DayCell => {
      const there = days.get(day) ?? null
      const expected = last !== null && day <= last && (first === null ? day === last : first <= day)
      return { day, published: there, state: stateOf(day, there !== null, expected, own) }
    })
    const complete = last === null || (completeThrough !== null && completeThrough >= last)
    const late = !complete && ![...own.waiting, ...own.reading].some(({ chunk }) => last !== null && chunk.window.from <= last)
    return { ...standing, dueThrough: last, cells, complete, wrong: late || own.problems.length > 0 || cells.some(isWrong) }
  })
  const all = [...problems.values()].flat()
  return { window, rows, problems: all, reading, restatements }
}

/** What is known of one client besides what is published. */
interface Own {
  readonly problems: readonly ChunkRecord[]
  readonly waiting: readonly ListedChunk[]
  readonly reading: readonly ListedChunk[]
  readonly restatements: readonly Restatement[]
}

function byClient({ waiting, reading, restatements }: Omit<Own, 'problems'>): (client: string) => Omit<Own, 'problems'> {
  const waits = Map.groupBy(waiting, ({ chunk }) => chunk.client)
  const reads = Map.groupBy(reading, ({ chunk }) => chunk.client)
  const restated = Map.groupBy(restatements, ({ client }) => client)
  return client => ({
    waiting: waits.get(client) ?? [],
    reading: reads.get(client) ?? [],
    restatements: restated.get(client) ?? [],
  })
}

function stateOf(day: Day, published: boolean, expected: boolean, { problems, waiting, reading, restatements }: Own): DayState {
  const covers = ({ chunk }: ChunkRecord): boolean => chunk.window.from <= day && day <= chunk.window.to
  const problem = problems.find(covers)?.state
  if (problem === 'held' || problem === 'failed' || problem === 'parked') return problem
  if (published) return restatements.some(one => one.day === day) ? 'restated' : 'published'
  if (reading.some(covers)) return 'reading'
  if (waiting.some(covers)) return 'waiting'
  return expected ? 'missing' : 'notDue'
}

function isWrong({ state }: DayCell): boolean {
  return WRONG.includes(state)
}

/** Days of a row that are missing from the first to the last that should be there, also before those that are shown. */
export function daysLacking({ first, dueThrough, extent, complete }: CalendarRow): number {
  if (complete || dueThrough === null) return 0
  if (first === null) return 1
  return Math.max(0, toEpochDay(dueThrough) - toEpochDay(first) + 1 - (extent?.days ?? 0))
}
