import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import type { LedgerReader } from '../ledger/reader.ts'
import { exposition } from './exposition.ts'

/** How the daemon is doing. */
export interface Health {
  /** When it last planned what is due, in epoch milliseconds. */
  readonly tickAt: number
  /** Whether it ends: nothing new is begun. */
  readonly draining: boolean
}

/** What `/readyz` looks at. It never asks an API, nor the warehouse: what these do is no reason to start a process anew. */
export interface Checked {
  readonly ledger: Pick<LedgerReader, 'lastFinished'>
  /** A pipeline that the ledger is asked for. */
  readonly pipeline: string
  health(): Health
  /** Epoch milliseconds. */
  now(): number
}

/** After so long without a tick, the scheduler is taken for stuck. */
const TICK_MS = 120_000

/** How long the ledger may take. */
const LEDGER_MS = 5_000

/** Serves a registry at `/metrics`, in the format that is asked for. */
export function metricsRoute(app: FastifyInstance, registry: Registry): void {
  app.get('/metrics', { schema: { summary: 'Metrics for Prometheus, or as OpenMetrics' } }, async ({ headers }, reply) => {
    const { contentType, text } = await exposition(registry, headers.accept)
    return reply.type(contentType).header('vary', 'accept').send(text)
  })
}

const CHECKS = {
  type: 'object',
  additionalProperties: false,
  required: ['ok', 'checks'],
  properties: {
    ok: { type: 'boolean' },
    checks: {
      type: 'object',
      additionalProperties: false,
      required: ['ledger', 'scheduler', 'draining'],
      properties: {
        ledger: { type: 'string', description: '`ok`, or what is wrong' },
        scheduler: { type: 'string', description: '`ok`, or what is wrong' },
        draining: { type: 'string', description: '`ok`, or that it ends' },
      },
    },
  },
} as const

/** Adds `/livez`: this process answers; and `/readyz`: it can do its work. */
export function healthRoutes(app: FastifyInstance, checked: Checked): void {
  const alive = { type: 'object', additionalProperties: false, required: ['ok'], properties: { ok: { const: true } } }
  app.get('/livez', { schema: { summary: 'Whether the process answers', response: { 200: alive } } }, async () => ({ ok: true }))
  app.get(
    '/readyz',
    { schema: { summary: 'Whether the daemon can do its work', response: { 200: CHECKS, 503: CHECKS } } },
    async (_, reply) => {
      const checks = {
        ledger: await ledgerCheck(checked),
        scheduler: schedulerCheck(checked),
        draining: checked.health().draining ? 'it ends: nothing new is begun' : 'ok',
      }
      const ok = Object.values(checks).every(check => check === 'ok')
      return reply.code(ok ? 200 : 503).send({ ok, checks })
    },
  )
}

async function ledgerCheck({ ledger, pipeline }: Checked): Promise<string> {
  const late = AbortSignal.timeout(LEDGER_MS)
  const patience = new Promise<string>(resolve => {
    late.addEventListener('abort', () => resolve(`no answer within ${LEDGER_MS / 1_000} s`))
  })
  const asked = ledger.lastFinished(pipeline).then(
    () => 'ok',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  return Promise.race([asked, patience])
}

function schedulerCheck({ health, now }: Checked): string {
  const seconds = Math.round((now() - health().tickAt) / 1_000)
  return seconds * 1_000 < TICK_MS ? 'ok' : `the last tick was ${seconds} s ago`
}
