import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { chunkText, type Window } from '../chunk.ts'
import { compilePipeline } from '../compile.ts'
import type { Client, Config } from '../config.ts'
import { ConfigError } from '../errors.ts'
import type { Log } from '../log.ts'
import { requestBackfill, revive } from '../standing/operate.ts'
import { Refusal, refusal } from './app.ts'
import { chunkView } from './lists.ts'
import { BACKFILL, CHUNK, DAY, ERROR, TEXT } from './schemas.ts'

/** The environment variable that holds the token. */
export const TOKEN = 'HEADRACE_TOKEN'

/** Anything shorter can be guessed. */
const LEAST_TOKEN = 16

/** What operators act through. */
export interface OperateHost {
  readonly config: Config
  clients(): readonly Client[]
  readonly log: Log
  readonly token: string
}

/** What is asked of a backfill. */
interface BackfillAsked {
  readonly Body: Window & {
    readonly pipeline: string
    readonly clients?: readonly string[]
    readonly force: boolean
    readonly missing: boolean
  }
}

interface ChunkAsked {
  readonly Params: { readonly run: string; readonly client: string; readonly from: string }
}

const REFUSED = { 401: ERROR, 404: ERROR } as const
const SECURITY = [{ token: [] }] as const

/** Refuses a token that can be guessed. */
export function checkToken(token: string): void {
  if (token.length >= LEAST_TOKEN && /^[\x21-\x7e]+$/.test(token)) return
  throw new ConfigError('CONFIG_INVALID', {
    message: `${TOKEN} is not a token: it needs ${LEAST_TOKEN} characters or more, of ASCII and without spaces`,
    hint: 'Make one with `openssl rand -hex 32`, or leave it out: then the server only answers questions. Nothing was read or written.',
  })
}

/** Adds what changes something. Every request needs the token, and is told to the log and kept in the ledger. */
export function operateRoutes(app: FastifyInstance, { config, clients, log, token }: OperateHost): void {
  const { ledger, pipelines, warehouse } = config
  const expected = digest(`Bearer ${token}`)
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return
    told(request, 'refused: without the token')
    throw new Refusal(
      401,
      new ConfigError('UNAUTHORIZED', { message: 'the token is missing or wrong', hint: 'Nothing was changed.' }),
    )
  }
  function told(request: FastifyRequest, outcome: string, subject?: string): void {
    const action = request.routeOptions.url?.split('/').at(-1)
    log.info({ event: 'operator.action', action, who: request.ip, subject, outcome }, 'operator acted')
  }

  app.post<BackfillAsked>(
    '/v1/backfills',
    {
      onRequest,
      schema: {
        summary: 'Have daemons read a window of days',
        description: 'The same request takes up the run that it began before, until that is finished.',
        security: SECURITY,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['pipeline', 'from', 'to'],
          properties: {
            pipeline: TEXT,
            from: DAY,
            to: DAY,
            clients: {
              type: 'array',
              items: TEXT,
              minItems: 1,
              uniqueItems: true,
              description: 'All of the configuration when left out.',
            },
            force: {
              type: 'boolean',
              default: false,
              description: 'Publish what the API says now, whatever was published before.',
            },
            missing: { type: 'boolean', default: false, description: 'Only days that were never published.' },
          },
        },
        response: { 202: BACKFILL, 400: ERROR, ...REFUSED },
      },
    },
    async (request, reply) => {
      const { pipeline: name, from, to, clients: only, force, missing } = request.body
      const pipeline = pipelines.find(one => one.name === name)
      if (pipeline === undefined)
        throw refusal(404, `there is no pipeline ${name}, only ${pipelines.map(one => one.name).join(', ')}`)
      if (to < from) throw refusal(400, `to ${to} is before from ${from}`)
      const all = clients().map(({ id }) => id)
      const unknown = (only ?? []).filter(client => !all.includes(client))
      if (unknown.length > 0) throw refusal(404, `not in the configuration: ${unknown.slice(0, 5).join(', ')}`)
      const wanted = { window: { from, to }, clients: only ?? all, force, missing }
      const { run, chunks } = await requestBackfill(compilePipeline(pipeline, warehouse), wanted, request.ip, ledger)
      told(request, `run ${run.id}`, `${name}, ${from} to ${to}, ${wanted.clients.length} clients`)
      return reply.code(202).send({
        run: run.id,
        resumed: run.resumed,
        pipeline: name,
        from,
        to,
        clients: wanted.clients.length,
        chunks: chunks.length,
        first: chunks.slice(0, 20).map(({ client, window }) => ({ client, ...window })),
      })
    },
  )

  for (const action of ['approve', 'retry'] as const) {
    app.post<ChunkAsked>(
      `/v1/chunks/:run/:client/:from/${action}`,
      {
        onRequest,
        schema: {
          summary: action === 'approve' ? 'Publish a held chunk whatever it is held for' : 'Give a chunk another chance',
          security: SECURITY,
          params: { type: 'object', required: ['run', 'client', 'from'], properties: { run: TEXT, client: TEXT, from: DAY } },
          response: { 202: CHUNK, 409: ERROR, ...REFUSED },
        },
      },
      async (request, reply) => {
        const { run, client, from } = request.params
        const revived = await revive(action, [run, client, from], request.ip, ledger)
        if (revived === undefined) {
          told(request, 'refused: no such chunk')
          throw refusal(404, `there is no chunk of ${client} from ${from} in run ${run}`)
        }
        const { chunk, done } = revived
        told(request, done ? 'revived' : `refused: it is ${chunk.state}`, chunkText(chunk.chunk))
        if (!done) throw refusal(409, `${chunkText(chunk.chunk)} is ${chunk.state}: there is nothing to ${action}`)
        return reply.code(202).send(chunkView(chunk))
      },
    )
  }
}

/** As long as any other, so that comparing takes the same time whatever is compared. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
