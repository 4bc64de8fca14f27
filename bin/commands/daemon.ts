import { collectDefaultMetrics, Registry } from 'prom-client'
import { daemon as runDaemon } from '../../lib/daemon.ts'
import { createLog } from '../../lib/index.ts'
import type { LogLevel } from '../../lib/log.ts'
import { listenToSignals } from '../signals.ts'
import { withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** What `headrace daemon` takes. */
export interface DaemonOptions extends CommonOptions {
  readonly host: string
  readonly port: number
  readonly logLevel: LogLevel
}

/** `headrace daemon`: reads what is due, until it is told to stop. */
export async function daemon(options: DaemonOptions): Promise<void> {
  const control = listenToSignals()
  const log = createLog(options.logLevel)
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const { host, port } = options
  await withConfig(
    options.config,
    async config => {
      const { drainSeconds } = config.settings
      control.drainMs = drainSeconds * 1_000
      control.stop.addEventListener('abort', () =>
        log.info(
          { event: 'daemon.draining' },
          `what is under way is finished first, within ${drainSeconds} s; a second signal gives it up`,
        ),
      )
      control.abort.addEventListener('abort', () =>
        log.warn({ event: 'daemon.giving_up' }, 'giving up what is under way; a third signal leaves at once'),
      )
      process.exitCode = await runDaemon(config, { log, registry, observe: () => undefined, control, address: { host, port } })
    },
    control.stop,
  )
}
