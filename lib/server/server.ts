import type { Registry } from 'prom-client'
import type { Client, Config } from '../config.ts'
import type { Log } from '../log.ts'
import { type Address, createApp, type Listening, listen } from './app.ts'
import { type Health, healthRoutes, metricsRoute } from './health.ts'
import { readinessRoute } from './readiness.ts'

/** What the server of a daemon tells, and how it is reached. */
export interface ServeOptions extends Address {
  readonly config: Config
  /** The clients of the configuration, as they were last resolved. */
  clients(): readonly Client[]
  readonly registry: Registry
  readonly log: Log
  /** Epoch milliseconds. */
  now(): number
  health(): Health
}

/** Starts the server of a daemon. Throws `PORT_IN_USE` when somebody else listens there. */
export async function serve({ config, clients, registry, log, now, health, ...address }: ServeOptions): Promise<Listening> {
  const { ledger, pipelines } = config
  const closing = new AbortController()
  const app = createApp(log, address.host, app => {
    app.addHook('preClose', async () => closing.abort())
    metricsRoute(app, registry)
    healthRoutes(app, { ledger, pipeline: pipelines[0]?.name ?? '', health, now })
    readinessRoute(app, { config, clients, now, closing: closing.signal })
  })
  return await listen(app, address)
}

/** Serves the metrics of a process that does nothing else for others. Throws `PORT_IN_USE` when somebody else listens there. */
export async function serveMetrics(registry: Registry, log: Log, address: Address): Promise<Listening> {
  return await listen(
    createApp(log, address.host, app => metricsRoute(app, registry)),
    address,
  )
}
