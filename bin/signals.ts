import type { Control } from '../lib/engine/engine.ts'
import { OPTIONS } from '../lib/options.ts'

/** How a process is told to end by signals. */
export interface Patience extends Control {
  /** How long after the first signal chunks under way may finish, in milliseconds. */
  drainMs: number
}

/**
 * The first signal stops the claiming of chunks, the second (or the end of patience) gives up those under way, and the third does not wait
 * even for that: whoever is killed loses nothing but time.
 */
export function listenToSignals(): Patience {
  const stop = new AbortController()
  const abort = new AbortController()
  const control = { stop: stop.signal, abort: abort.signal, drainMs: OPTIONS.drainSeconds.default * 1_000 }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(1)
      if (stop.signal.aborted) abort.abort()
      stop.abort()
      setTimeout(() => abort.abort(), control.drainMs).unref()
    })
  }
  return control
}
