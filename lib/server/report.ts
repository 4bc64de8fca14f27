import type { FastifyInstance } from 'fastify'
import type { Client, Config } from '../config.ts'
import { GRANT_KEY } from '../oauth/seal.ts'
import { dayAt } from '../plan/schedule.ts'
import { reportPage } from '../report/page.ts'
import { type PeriodAsked, periodOf } from '../report/period.ts'
import { report } from '../report/report.ts'
import { POLICY } from './page/parts.ts'
import { DAY, TEXT } from './schemas.ts'

/** Adds `/v1/report`: a page for browsers, JSON for everybody else. */
export function reportRoute(
  app: FastifyInstance,
  { config, clients, now }: { readonly config: Config; clients(): readonly Client[]; now(): number },
): void {
  app.get<{ readonly Querystring: PeriodAsked }>(
    '/v1/report',
    {
      schema: {
        summary: 'What became of a week',
        description: 'The last week that is over, another one, or some days. A page for whoever accepts `text/html`, else JSON.',
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: { week: { ...TEXT, description: 'A week of ISO 8601, `2026-W47`.' }, from: DAY, to: DAY },
        },
      },
    },
    async ({ query, headers }, reply) => {
      const at = now()
      const period = periodOf(query, dayAt(at, config.timeZone))
      const found = await report({ config, clients: clients(), period, grantKey: process.env[GRANT_KEY], now: at })
      reply.header('vary', 'accept')
      if (!/\btext\/html\b/.test(headers.accept ?? '')) return found
      return reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(reportPage(found).text)
    },
  )
}
