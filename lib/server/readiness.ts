import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { compilePipeline } from '../compile.ts'
import type { Client, Config } from '../config.ts'
import { TransientError } from '../errors.ts'
import { type Readiness, type ReadinessQuestion, readiness } from '../standing/readiness.ts'
import { Refusal, refusal } from './app.ts'
import { DAY, READINESS } from './schemas.ts'
import { Watch } from './watch.ts'

/** What readiness is computed from. */
export interface ReadinessHost {
  readonly config: Config
  clients(): readonly Client[]
  /** Epoch milliseconds. */
  now(): number
  /** Ends every wait, each with the answer there is. */
  readonly closing: AbortSignal
}

/** Requests that may wait at the same time, and how long each, in seconds. */
const WAITING = 200
const LONGEST_WAIT = 60

const QUERY = {
  type: 'object',
  additionalProperties: false,
  required: ['through'],
  properties: {
    through: { ...DAY, description: 'The last day that is needed.' },
    client: { type: 'string', minLength: 1, description: 'Whose rows; all clients of the configuration when it is left out.' },
    wait: {
      type: 'number',
      minimum: 0,
      maximum: LONGEST_WAIT,
      default: 0,
      description: 'Seconds to wait until it is ready; with `If-None-Match`, until the answer is another one.',
    },
  },
} as const

interface Asked {
  readonly Params: { readonly table: string }
  readonly Querystring: ReadinessQuestion & { readonly wait: number }
  readonly Headers: { readonly 'if-none-match'?: string }
}

/** Adds `/v1/datasets/{table}/readiness`. */
export function readinessRoute(app: FastifyInstance, { config, clients, now, closing }: ReadinessHost): void {
  const { ledger, pipelines, warehouse } = config
  const declared = new Map(
    pipelines.map(pipeline => [pipeline.table.name, { pipeline, schemaHash: compilePipeline(pipeline, warehouse).schemaHash }]),
  )
  const answer = async (table: string, question: ReadinessQuestion): Promise<Readiness> => {
    const of = declared.get(table)
    if (of === undefined) throw refusal(404, `there is no table ${table}, only ${[...declared.keys()].join(', ')}`)
    const all = clients()
    if (question.client !== undefined && !all.some(({ id }) => id === question.client)) {
      throw refusal(404, `there is no client ${question.client} in the configuration`)
    }
    return await readiness({ ...of, clients: all }, question, ledger, now())
  }
  const watch = new Watch(async (question: string) => {
    const { table, ...asked } = JSON.parse(question)
    return await answer(table, asked)
  })

  app.get<Asked>(
    '/v1/datasets/:table/readiness',
    {
      schema: {
        summary: 'Whether a table can be relied on through a day',
        description: 'Answered from the ledger alone; HEAD says it by its status alone, 200 or 425.',
        params: { type: 'object', required: ['table'], properties: { table: { type: 'string' } } },
        querystring: QUERY,
        response: { 200: READINESS },
      },
    },
    async (request, reply) => {
      const { table } = request.params
      const { wait, ...question } = request.query
      const known = request.headers['if-none-match']
      const enough = (found: Readiness): boolean => (known === undefined ? found.ready : tagOf(found) !== known)
      let found = await answer(table, question)
      if (wait > 0 && !enough(found)) {
        if (watch.waiting >= WAITING) throw tooMany(watch.waiting)
        const ends = AbortSignal.any([closing, request.signal, AbortSignal.timeout(wait * 1_000)])
        found = (await watch.until(JSON.stringify({ table, ...question }), enough, ends)) ?? (await answer(table, question))
      }
      reply.headers({ etag: tagOf(found), 'cache-control': 'no-cache' })
      if (tagOf(found) === known) return reply.code(304).send()
      return reply.code(request.method === 'HEAD' && !found.ready ? 425 : 200).send(found)
    },
  )
}

function tagOf(found: Readiness): string {
  return `"${createHash('sha256').update(JSON.stringify(found)).digest('base64url').slice(0, 22)}"`
}

function tooMany(waiting: number): Refusal {
  const message = `${waiting} requests wait already`
  return new Refusal(503, new TransientError('SERVER_BUSY', { message, hint: 'Ask again later, or without wait.' }))
}
