import { addDays, type Chunk, daysOf, splitWindow, type Window } from './chunk.ts'
import type { Ledger } from './ledger/ledger.ts'
import type { Pipeline } from './pipeline.ts'

/** A chunk that is due, and why. */
export interface PlannedChunk {
  readonly chunk: Chunk
  /** `new`: nothing of it was ever published. `partly`: some days were. `again`: all days were, and are read again. */
  readonly why: 'new' | 'partly' | 'again'
  readonly publishedDays: number
}

/** What a backfill is asked for. */
export interface BackfillRequest {
  readonly window: Window
  readonly clients: readonly string[]
  /** Only days that were never published, or whose publication is in doubt. */
  readonly missing: boolean
}

/** The chunks of a backfill: every client and every day of the window exactly once. */
export async function* planBackfill(
  pipeline: Pipeline,
  { window, clients, missing }: BackfillRequest,
  ledger: Ledger,
): AsyncGenerator<PlannedChunk> {
  for (const client of clients) {
    const published = new Set(
      (await ledger.days(pipeline.name, client, window)).filter(day => !day.doubtful).map(({ day }) => day),
    )
    const ranges = missing ? gaps(window, published) : [window]
    for (const part of ranges.flatMap(range => splitWindow(range, pipeline.chunk.days))) {
      const days = daysOf(part)
      const there = days.filter(day => published.has(day)).length
      const why = there === 0 ? 'new' : there === days.length ? 'again' : 'partly'
      yield { chunk: { pipeline: pipeline.name, client, window: part }, why, publishedDays: there }
    }
  }
}

/** The stretches of a window that hold none of the given days. */
export function gaps(window: Window, days: ReadonlySet<string>): Window[] {
  const found: Window[] = []
  for (const day of daysOf(window)) {
    if (days.has(day)) continue
    const last = found.at(-1)
    if (last !== undefined && addDays(last.to, 1) === day) found[found.length - 1] = { from: last.from, to: day }
    else found.push({ from: day, to: day })
  }
  return found
}
