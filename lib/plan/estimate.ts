import { type Chunk, dayCount } from '../chunk.ts'
import type { Config } from '../config.ts'
import { HeadraceError } from '../errors.ts'
import type { History } from '../ledger/reader.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Charge, WarehouseCall } from '../warehouse/warehouse.ts'
import type { PlannedChunk } from './plan.ts'

/** A number that cannot be known before, and what it rests on. */
export interface Figure {
  /** Null when there is nothing to rest it on. */
  readonly about: number | null
  readonly restsOn: string
}

/** What working off a plan will take. */
export interface Estimate {
  readonly rows: Figure
  readonly requests: Figure
  readonly seconds: Figure
  /** What the warehouse charges, if every day comes back changed. */
  readonly bytesBilled: Figure
}

/** Commits that the warehouse is asked about; the others are taken to cost the same. */
const MOST_ASKED = 10

/** What is expected of a plan, from what its pipeline did before and from what the warehouse says. Changes nothing. */
export async function estimatePlan(
  { ledger, warehouse, settings }: Pick<Config, 'ledger' | 'warehouse' | 'settings'>,
  pipeline: Pipeline,
  due: readonly PlannedChunk[],
  call: WarehouseCall,
): Promise<Estimate> {
  const history = await ledger.history(pipeline.name)
  const days = due.reduce((sum, { chunk }) => sum + dayCount(chunk.window), 0)
  return {
    rows: rowsOf(due, history),
    ...paceOf(days, history),
    bytesBilled: await bytesOf({ warehouse, settings }, pipeline, due, call),
  }
}

function rowsOf(due: readonly PlannedChunk[], { rowsPerDay }: History): Figure {
  const usual = median([...rowsPerDay.values()])
  if (usual === undefined) return { about: null, restsOn: 'nothing of this pipeline was published yet' }
  const rows = due.reduce((sum, { chunk }) => sum + dayCount(chunk.window) * (rowsPerDay.get(chunk.client) ?? usual), 0)
  const strangers = new Set(due.map(({ chunk }) => chunk.client).filter(client => !rowsPerDay.has(client))).size
  const others = strangers === 0 ? '' : `; for ${strangers} without any, the median of the others`
  return { about: Math.round(rows), restsOn: `the median of the newest published days of each client${others}` }
}

function paceOf(days: number, { chunks }: History): { readonly requests: Figure; readonly seconds: Figure } {
  const past = chunks.reduce((sum, chunk) => sum + chunk.days, 0)
  if (past === 0) {
    const unknown = { about: null, restsOn: 'no chunk of this pipeline was read yet' }
    return { requests: unknown, seconds: unknown }
  }
  const share = days / past
  const restsOn = `the newest ${chunks.length === 1 ? 'chunk' : `${chunks.length} chunks`}, day for day`
  const requests = chunks.reduce((sum, chunk) => sum + chunk.requests, 0)
  return {
    requests: { about: Math.ceil(requests * share), restsOn },
    seconds: { about: Math.ceil((busyMs(chunks) * share) / 1_000), restsOn: `${restsOn}, as many at a time as then` },
  }
}

/** How long at least one of the chunks was under way: pauses between runs count for nothing, and what ran side by side counts once. */
function busyMs(chunks: History['chunks']): number {
  let busy = 0
  let until = 0
  for (const { startedAt, finishedAt } of chunks.toSorted((a, b) => a.startedAt - b.startedAt)) {
    busy += Math.max(0, finishedAt - Math.max(startedAt, until))
    until = Math.max(until, finishedAt)
  }
  return busy
}

async function bytesOf(
  { warehouse, settings }: Pick<Config, 'warehouse' | 'settings'>,
  { table, totals }: Pipeline,
  due: readonly PlannedChunk[],
  call: WarehouseCall,
): Promise<Figure> {
  const groups = groupsOf(due, settings.groupChunks)
  const step = Math.max(1, groups.length / MOST_ASKED)
  const asked = groups.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step))
  let bytes = 0
  for (const group of asked) {
    const replacing = group.some(({ why }) => why !== 'new')
    const chunks: Chunk[] = group.map(({ chunk }) => chunk)
    const charge = await warehouse.charge(table, totals, { chunks, replacing }, call).catch(unanswered)
    if (charge.kind === 'none') return { about: 0, restsOn: `${warehouse.name} charges nothing` }
    if (charge.kind === 'unknown') return { about: null, restsOn: charge.why }
    bytes += charge.bytes
  }
  const some = asked.length === groups.length ? '' : `, ${asked.length} of them asked about`
  return {
    about: asked.length === 0 ? 0 : Math.round((bytes * groups.length) / asked.length),
    restsOn: `dry runs of ${groups.length} commits${some}, as if every day had changed`,
  }
}

/** A warehouse that cannot be asked is no reason to hide the plan. */
function unanswered(error: unknown): Charge {
  if (!(error instanceof HeadraceError)) throw error
  return { kind: 'unknown', why: `${error.code}: ${error.message}` }
}

/** The chunks as they are committed together when all slots are always busy: in the order they are read. */
function groupsOf(due: readonly PlannedChunk[], most: number): PlannedChunk[][] {
  const ordered = due.toSorted(
    (a, b) => compare(a.chunk.window.from, b.chunk.window.from) || compare(a.chunk.client, b.chunk.client),
  )
  return Array.from({ length: Math.ceil(ordered.length / most) }, (_, index) => ordered.slice(index * most, (index + 1) * most))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function median(numbers: readonly number[]): number | undefined {
  const sorted = numbers.toSorted((a, b) => a - b)
  const [lower, upper] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return lower === undefined || upper === undefined ? undefined : (lower + upper) / 2
}
