import type { Registry } from 'prom-client'
import type { Client, Config } from '../config.ts'
import type { Log } from '../log.ts'
import { type Address, type Listening, listen } from './app.ts'
import { type Health, healthRoutes, metricsRoute } from './health.ts'
import { listRoutes } from './lists.ts'
import { openapiRoute } from './openapi.ts'
import { checkToken, operateRoutes, TOKEN } from './operate.ts'
import { pageRoute } from './page/page.ts'
import { readinessRoute } from './readiness.ts'
import { reportRoute } from './report.ts'

/** What the server of a daemon tells, and how it is reached. */
export interface ServeOptions extends Address {
  readonly config: Config
  /** The clients of the configuration, as they were last resolved. */
  clients(): readonly Client[]
  readonly registry: Registry
  readonly log: Log
  /** Lets a request change something; without one, no request can. Default the environment variable `HEADRACE_TOKEN`. */
  readonly token?: string | undefined
  /** Epoch milliseconds. */
  now(): number
  health(): Health
}

/**
 * Starts the server of a daemon. Throws `PORT_IN_USE` when somebody else listens there, and `CONFIG_INVALID` for a token that can be
 * guessed.
 */
export async function serve({ token = process.env[TOKEN], ...options }: ServeOptions): Promise<Listening> {
  const { config, clients, registry, log, now, health, host, port } = options
  const { ledger, pipelines } = config
  if (token !== undefined) checkToken(token)
  const closing = new AbortController()
  return listen(log, { host, port }, (app, routes) => {
    app.addHook('preClose', async () => closing.abort())
    metricsRoute(app, registry)
    healthRoutes(app, { ledger, pipeline: pipelines[0]?.name ?? '', health, now })
    readinessRoute(app, { config, clients, now, closing: closing.signal })
    listRoutes(app, ledger)
    reportRoute(app, { config, clients, now })
    if (token !== undefined) operateRoutes(app, { config, clients, log, token })
    openapiRoute(app, routes)
    pageRoute(app, { config, clients, now })
  })
}

/** Serves the metrics of a process that does nothing else for others. Throws `PORT_IN_USE` when somebody else listens there. */
export function serveMetrics(registry: Registry, log: Log, address: Address): Promise<Listening> {
  return listen(log, address, app => metricsRoute(app, registry))
}
