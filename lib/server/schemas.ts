import { CHUNK_STATES } from '../ledger/states.ts'

/** A JSON Schema of an answer: every property is there, and no other. */
function object<P extends Readonly<Record<string, unknown>>>(properties: P) {
  return { type: 'object', additionalProperties: false, required: Object.keys(properties), properties } as const
}

/** Lists of one kind of thing. */
function list<I>(items: I) {
  return { type: 'array', items } as const
}

/** A calendar day. */
export const DAY = { type: 'string', format: 'date' } as const

const DAY_OR_NULL = { type: ['string', 'null'], format: 'date' } as const
const INSTANT_OR_NULL = { type: ['string', 'null'], format: 'date-time' } as const
/** Any text. */
export const TEXT = { type: 'string' } as const
const TEXT_OR_NULL = { type: ['string', 'null'] } as const
const INSTANT = { type: 'string', format: 'date-time' } as const
const YES_OR_NO = { type: 'boolean' } as const
const COUNT = { type: 'integer', minimum: 0 } as const

/** What every request is answered with that is not done. */
export const ERROR = object({ error: object({ code: TEXT, message: TEXT, hint: TEXT_OR_NULL }) })

/** Whether a table can be relied on. */
export const READINESS = object({
  dataset: TEXT,
  through: DAY,
  client: TEXT_OR_NULL,
  ready: YES_OR_NO,
  complete: YES_OR_NO,
  validated: YES_OR_NO,
  final: YES_OR_NO,
  completeThrough: DAY_OR_NULL,
  finalThrough: DAY_OR_NULL,
  coverage: object({
    clients: object({ required: COUNT, complete: COUNT }),
    days: object({ published: COUNT, doubtful: COUNT }),
    missing: list(object({ client: TEXT, from: DAY_OR_NULL, to: DAY })),
  }),
  held: list(object({ client: TEXT, from: DAY, to: DAY, code: TEXT_OR_NULL })),
  nextExpectedAt: INSTANT_OR_NULL,
  schemaHash: TEXT,
  publishedAt: INSTANT_OR_NULL,
  runId: TEXT_OR_NULL,
})

/** A chunk as it is listed. */
export const CHUNK = object({
  run: TEXT,
  pipeline: TEXT,
  client: TEXT,
  from: DAY,
  to: DAY,
  state: { enum: CHUNK_STATES },
  attempts: COUNT,
  problem: { anyOf: [{ type: 'null' }, object({ code: TEXT, message: TEXT, hint: TEXT_OR_NULL })] },
  notBefore: INSTANT_OR_NULL,
  priority: { enum: ['live', 'backfill'] },
  served: YES_OR_NO,
  updatedAt: INSTANT,
})

/** A page of chunks. */
export const CHUNKS = object({ chunks: list(CHUNK), next: TEXT_OR_NULL })

/** A page of runs. */
export const RUNS = object({
  runs: list(
    object({
      run: TEXT,
      pipeline: TEXT,
      command: { enum: ['backfill', 'schedule'] },
      from: DAY,
      to: DAY,
      clients: COUNT,
      force: YES_OR_NO,
      missing: YES_OR_NO,
      startedAt: INSTANT,
      finishedAt: INSTANT_OR_NULL,
      chunks: object(Object.fromEntries(CHUNK_STATES.map(state => [state, COUNT]))),
    }),
  ),
  next: TEXT_OR_NULL,
})

/** A backfill that daemons work on from now on; `first` are the first chunks it has. */
export const BACKFILL = object({
  run: TEXT,
  resumed: YES_OR_NO,
  pipeline: TEXT,
  from: DAY,
  to: DAY,
  clients: COUNT,
  chunks: COUNT,
  first: list(object({ client: TEXT, from: DAY, to: DAY })),
})
