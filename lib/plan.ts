import { addDays, type Chunk, daysOf, splitWindow, type Window } from './chunk.ts'
import type { CompiledPipeline } from './compile.ts'
import type { LedgerReader, RunRequest } from './ledger/ledger.ts'
import type { Pipeline } from './pipeline.ts'

/** What a backfill is asked for. */
export interface Wanted {
  readonly window: Window
  readonly clients: readonly string[]
  /** Publish without comparing with what was published before. */
  readonly force: boolean
  /** Only days that were never published, or whose publication is in doubt. */
  readonly missing: boolean
}

/** A chunk that is due, and why. */
export interface PlannedChunk {
  readonly chunk: Chunk
  /** `new`: nothing of it was ever published. `partly`: some days were. `again`: all days were, and are read again. */
  readonly why: 'new' | 'partly' | 'again'
  readonly publishedDays: number
}

/** A backfill as the ledger knows it: what is wanted, of which declarations. */
export function requestOf({ pipeline, schemaHash, pipelineHash }: CompiledPipeline, wanted: Wanted): RunRequest {
  const { window, clients, force, missing } = wanted
  return {
    command: 'backfill',
    pipeline: pipeline.name,
    api: pipeline.source.name,
    priority: 'backfill',
    window,
    clients,
    force,
    missing,
    schemaHash,
    pipelineHash,
  }
}

/** The chunks of a backfill: every client and every day of the window exactly once, client by client, oldest first. */
export async function* planBackfill(
  pipeline: Pipeline,
  { window, clients, missing }: Omit<Wanted, 'force'>,
  ledger: LedgerReader,
): AsyncGenerator<Chunk> {
  for (const client of clients) {
    const ranges = missing ? gaps(window, await certainDays(ledger, { pipeline: pipeline.name, client, window })) : [window]
    for (const part of ranges.flatMap(range => splitWindow(range, pipeline.chunk.days))) {
      yield { pipeline: pipeline.name, client, window: part }
    }
  }
}

/** Says of each chunk why it is read. */
export async function* withReasons(chunks: AsyncIterable<Chunk>, ledger: LedgerReader): AsyncGenerator<PlannedChunk> {
  for await (const chunk of chunks) {
    const days = daysOf(chunk.window).length
    const { size } = await certainDays(ledger, chunk)
    yield { chunk, why: size === 0 ? 'new' : size === days ? 'again' : 'partly', publishedDays: size }
  }
}

async function certainDays(ledger: LedgerReader, { pipeline, client, window }: Chunk): Promise<Set<string>> {
  const published = await ledger.days(pipeline, client, window)
  return new Set(published.filter(day => !day.doubtful).map(({ day }) => day))
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
