import { addDays, type Chunk, dayCount, daysOf, splitWindow, type Window } from '../chunk.ts'
import type { CompiledPipeline } from '../compile.ts'
import type { Client } from '../config.ts'
import type { RunRequest } from '../ledger/ledger.ts'
import type { Priority } from '../ledger/pace.ts'
import type { Extent, LedgerReader } from '../ledger/reader.ts'
import type { Occasion } from '../ledger/served.ts'
import type { Pipeline } from '../pipeline.ts'
import { dueParts, type Known, knownOf, lookback, newest, publishedIn, type Turn, turnsAt } from './due.ts'

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
    yield planned(chunk, (await certainDays(ledger, chunk)).size)
  }
}

/** A chunk that became due. */
export interface DueChunk extends PlannedChunk {
  readonly priority: Priority
  /**
   * The schedules that want days of it, by name; `missing` when days of it should be published by now and never were, `doubtful` when it is not
   * certain what was published.
   */
  readonly reasons: readonly string[]
}

/** What became due of one pipeline: it is begun as one run that answers all of its occasions, or not at all. */
export interface DueRun {
  readonly request: RunRequest
  /** None when everything that is wanted already waits to be read. */
  readonly chunks: readonly DueChunk[]
  readonly occasions: readonly Occasion[]
}

/** What is due at an instant (epoch milliseconds), one run for each pipeline of which anything is. Reads the ledger, and changes nothing. */
export async function planDue(
  compiled: readonly CompiledPipeline[],
  clients: readonly Client[],
  ledger: LedgerReader,
  now: number,
): Promise<DueRun[]> {
  const runs: DueRun[] = []
  for (const one of compiled) {
    const turns = await dueTurns(one.pipeline, clients, ledger, now)
    if (turns.size > 0) runs.push(await dueRun(one, turns, ledger))
  }
  return runs
}

/** The occasions of each client that nobody has answered yet; clients without any are left out. */
async function dueTurns(
  { name, schedule }: Pipeline,
  clients: readonly Client[],
  ledger: LedgerReader,
  now: number,
): Promise<Map<string, Turn[]>> {
  if (schedule.length === 0) return new Map()
  // Names of schedules hold no space.
  const answered = new Map((await ledger.occasions(name)).map(({ schedule, client, at }) => [`${schedule} ${client}`, at]))
  const zones = Map.groupBy(clients, ({ timeZone }) => timeZone)
  const turnsIn = new Map([...zones.keys()].map(zone => [zone, turnsAt(schedule, zone, now)]))
  const due = clients.map(({ id, timeZone }): [string, Turn[]] => [
    id,
    (turnsIn.get(timeZone) ?? []).filter(({ name, at }) => at > (answered.get(`${name} ${id}`) ?? Number.NEGATIVE_INFINITY)),
  ])
  return new Map(due.filter(([, turns]) => turns.length > 0))
}

async function dueRun(
  { pipeline, schemaHash, pipelineHash }: CompiledPipeline,
  due: ReadonlyMap<string, readonly Turn[]>,
  ledger: LedgerReader,
): Promise<DueRun> {
  const { name, source } = pipeline
  const waiting = Map.groupBy(await ledger.waiting(name), ({ client }) => client)
  const extents = new Map((await ledger.extents(name)).map(extent => [extent.client, extent]))
  const chunks: DueChunk[] = []
  for (const [client, turns] of due) {
    const known = await knownDays(extents.get(client), name, ledger)
    for (const { window, priority, reasons } of dueParts(turns, known, waiting.get(client) ?? [], pipeline.chunk.days)) {
      chunks.push({ ...planned({ pipeline: name, client, window }, publishedIn(window, known)), priority, reasons })
    }
  }
  const turns = [...due.values()].flat()
  const froms = [...chunks.map(({ chunk }) => chunk.window.from), ...turns.map(turn => lookback(turn).from)]
  return {
    request: {
      command: 'schedule',
      pipeline: name,
      api: source.name,
      window: { from: froms.reduce((a, b) => (a < b ? a : b)), to: newest(turns) },
      clients: [...due.keys()],
      force: false,
      missing: false,
      schemaHash,
      pipelineHash,
    },
    chunks,
    occasions: [...due].flatMap(([client, turns]) => turns.map(({ name, at }) => ({ schedule: name, client, at }))),
  }
}

/** Which pipelines each of some due chunks waits for: those that have not published enough of its days, or are due to read some of them again. */
export async function upstreamsOf(
  { after }: Pipeline,
  chunks: readonly PlannedChunk[],
  due: readonly DueRun[],
  ledger: LedgerReader,
): Promise<string[][]> {
  const names: string[][] = chunks.map(() => [])
  for (const { pipeline, gaps } of after) {
    const extents = new Map((await ledger.extents(pipeline)).map(extent => [extent.client, extent]))
    const planned = due.filter(({ request }) => request.pipeline === pipeline).flatMap(({ chunks }) => chunks)
    const soon = Map.groupBy([...planned.map(({ chunk }) => chunk), ...(await ledger.waiting(pipeline))], ({ client }) => client)
    const known = new Map<string, Known>()
    for (const [index, { chunk }] of chunks.entries()) {
      const { client, window } = chunk
      const days = known.get(client) ?? (await knownDays(extents.get(client), pipeline, ledger))
      known.set(client, days)
      const again = (soon.get(client) ?? []).some(other => other.window.from <= window.to && window.from <= other.window.to)
      if (again || publishedIn(window, days) < dayCount(window) * (1 - gaps)) names[index]?.push(pipeline)
    }
  }
  return names
}

/** What is published of a client; its days are asked for one by one only when some between the first and the last are not. */
async function knownDays(extent: Extent | undefined, pipeline: string, ledger: LedgerReader): Promise<Known> {
  if (extent === undefined) return knownOf([])
  const { client, first, last, certainDays } = extent
  if (certainDays < dayCount({ from: first, to: last })) return knownOf(await ledger.allDays(pipeline, client))
  return { first, published: [{ from: first, to: last }], doubtful: new Set() }
}

/** A chunk of which so many days are published. */
function planned(chunk: Chunk, publishedDays: number): PlannedChunk {
  const why = publishedDays === 0 ? 'new' : publishedDays === dayCount(chunk.window) ? 'again' : 'partly'
  return { chunk, why, publishedDays }
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
