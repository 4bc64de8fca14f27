import type { FastifyInstance } from 'fastify'
import { isDay } from '../chunk.ts'
import type { ChunkFilter, ChunkKey, LedgerLists, ListedChunk, ListedRun, RunKey } from '../ledger/lists.ts'
import { CHUNK_STATES } from '../ledger/states.ts'
import { refusal } from './app.ts'
import { CHUNKS, RUNS, TEXT } from './schemas.ts'

const PAGE = {
  limit: { type: 'integer', minimum: 1, maximum: 1_000, default: 100, description: 'How many at most.' },
  after: { type: 'string', maxLength: 2_000, description: 'The `next` of the page before.' },
} as const

/** A chunk as it is told. */
export function chunkView({ chunk, state, runId, attempts, problem, notBefore, priority, served, updatedAt }: ListedChunk) {
  return {
    run: runId,
    pipeline: chunk.pipeline,
    client: chunk.client,
    ...chunk.window,
    state,
    attempts,
    problem,
    notBefore: notBefore === 0 ? null : new Date(notBefore).toISOString(),
    priority,
    served,
    updatedAt: new Date(updatedAt).toISOString(),
  }
}

function runView({ id, window, startedAt, finishedAt, progress, ...run }: ListedRun) {
  return {
    run: id,
    ...run,
    ...window,
    startedAt: new Date(startedAt).toISOString(),
    finishedAt: finishedAt === null ? null : new Date(finishedAt).toISOString(),
    chunks: progress,
  }
}

interface ChunksAsked {
  readonly Querystring: Omit<ChunkFilter, 'from'> & { readonly limit: number; readonly after?: string }
}

interface RunsAsked {
  readonly Querystring: {
    readonly pipeline?: string
    readonly finished?: boolean
    readonly limit: number
    readonly after?: string
  }
}

/** Adds `/v1/chunks` and `/v1/runs`. */
export function listRoutes(app: FastifyInstance, ledger: LedgerLists): void {
  app.get<ChunksAsked>(
    '/v1/chunks',
    {
      schema: {
        summary: 'Chunks, page by page',
        description: 'In an order that stays: by run, client and first day.',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { pipeline: TEXT, client: TEXT, state: { enum: CHUNK_STATES }, run: TEXT, ...PAGE },
        },
        response: { 200: CHUNKS },
      },
    },
    async ({ query: { limit, after, ...filter } }) => {
      const found = await ledger.chunks(filter, limit, after === undefined ? undefined : chunkKey(after))
      const last = found.at(-1)
      const next =
        last === undefined || found.length < limit ? null : cursor([last.runId, last.chunk.client, last.chunk.window.from])
      return { chunks: found.map(chunkView), next }
    },
  )
  app.get<RunsAsked>(
    '/v1/runs',
    {
      schema: {
        summary: 'Runs, newest first, page by page',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { pipeline: TEXT, finished: { type: 'boolean', description: 'Only those that are, or are not.' }, ...PAGE },
        },
        response: { 200: RUNS },
      },
    },
    async ({ query: { limit, after, ...filter } }) => {
      const found = await ledger.runs(filter, limit, after === undefined ? undefined : runKey(after))
      const last = found.at(-1)
      const next = last === undefined || found.length < limit ? null : cursor([last.startedAt, last.id])
      return { runs: found.map(runView), next }
    },
  )
}

/** Where the next page begins, as text that means nothing to anybody else. */
function cursor(key: ChunkKey | RunKey): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

function partsOf(after: string): unknown[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(after, 'base64url').toString())
    return Array.isArray(key) ? key : []
  } catch {
    return []
  }
}

function chunkKey(after: string): ChunkKey {
  const [run, client, from] = partsOf(after)
  if (typeof run !== 'string' || typeof client !== 'string' || typeof from !== 'string' || !isDay(from)) throw noPage()
  return [run, client, from]
}

function runKey(after: string): RunKey {
  const [at, run] = partsOf(after)
  if (!Number.isSafeInteger(at) || typeof run !== 'string') throw noPage()
  return [Number(at), run]
}

function noPage(): Error {
  return refusal(400, '`after` is not the `next` of a page of this list')
}
