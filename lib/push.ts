import type { Registry } from 'prom-client'
import type { WarningName } from './errors.ts'

/** What metrics are pushed as; alerts and dashboards look for it. */
const JOB = 'headrace_backfill'

/** How often they are pushed. `HeadraceBackfillAbandoned` waits for twenty of these. */
const EVERY_MS = 15_000

/** How long one request may take. */
const REQUEST_MS = 5_000

/** What is pushed, where, and who is told when that fails. */
export interface PushOptions {
  /** Address of the Pushgateway, `http://127.0.0.1:9091`. */
  readonly gateway: string
  /** The run whose group it is; a process that takes the run up goes on with the group. */
  readonly runId: string
  readonly registry: Registry
  warn(name: WarningName, message: string): void
}

/**
 * Pushes metrics to a Pushgateway, at once and every 15 seconds, in a group named by the run. Returns what ends that and removes the group, so that a group
 * that stays is of a process that died. A Pushgateway that does not take it harms nobody: of pushes that fail one is told, and neither function ever rejects.
 */
export function pushing({ gateway, runId, registry, warn }: PushOptions): () => Promise<void> {
  const group = `${gateway.replace(/\/+$/, '')}/metrics/job/${JOB}/run_id/${encodeURIComponent(runId)}`
  let arrived = false
  let warned = false
  let underWay: Promise<void> | undefined

  async function pushOnce(): Promise<void> {
    try {
      await send(group, 'PUT', await registry.metrics())
      arrived = true
    } catch (error) {
      if (!warned) warn('PUSH_FAILED', `${gateway}: ${reasonOf(error)}; whether this run goes on cannot be seen there`)
      warned = true
    }
  }

  function push(): void {
    underWay ??= pushOnce().finally(() => {
      underWay = undefined
    })
  }

  push()
  // Nothing that is awaited: it keeps no process alive.
  const timer = setInterval(push, EVERY_MS).unref()
  return async () => {
    clearInterval(timer)
    await underWay
    try {
      await send(group, 'DELETE')
    } catch (error) {
      if (arrived) warn('PUSH_FAILED', `${gateway}: ${reasonOf(error)}; the run ${runId} stays there and will look abandoned`)
    }
  }
}

async function send(url: string, method: 'PUT' | 'DELETE', body: string | null = null): Promise<void> {
  const headers = { 'content-type': 'text/plain; version=0.0.4' }
  const response = await fetch(url, { method, headers, body, redirect: 'error', signal: AbortSignal.timeout(REQUEST_MS) })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`it answers ${response.status}`)
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.name === 'TimeoutError') return `no answer within ${REQUEST_MS / 1_000} s`
  return error instanceof TypeError ? 'it cannot be reached' : error.message
}
