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
const TEXT = { type: 'string' } as const
const TEXT_OR_NULL = { type: ['string', 'null'] } as const
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
