import type { Config } from '../config.ts'
import { asHeadraceError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { setGauges } from './gauges.ts'
import { type Watch, type WatchOptions, watch } from './watch.ts'
import { tellFindings, webhook } from './webhook.ts'

/** What a look is made with. */
export interface RoundOptions extends WatchOptions {
  readonly config: Pick<Config, 'pipelines' | 'ledger' | 'alerts'>
  readonly log: Log
  readonly metrics: Metrics
}

/** Looks once: runs every monitor, sets the gauges, and tells whoever is to be told. A message that is not taken is tried again by a later round. */
export async function round(options: RoundOptions): Promise<Watch> {
  const { config, log, metrics, now } = options
  const seen = await watch(options)
  setGauges(metrics, seen, now)
  for (const outcome of ['told', 'failed']) metrics.alerts.inc({ outcome }, 0)
  if (config.alerts === undefined) return seen
  try {
    metrics.alerts.inc({ outcome: 'told' }, await tellFindings(seen, config.ledger, webhook(config.alerts.webhook)))
  } catch (error) {
    metrics.alerts.inc({ outcome: 'failed' })
    log.error({ event: 'alert.failed', err: error }, `the webhook was not told: ${asHeadraceError(error).message}`)
  }
  return seen
}
