import type { Ledger } from '../../lib/ledger/ledger.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import type { Limit } from '../../lib/pace/pace.ts'
import { Pacer, type PacerContext } from '../../lib/pace/pacer.ts'
import type { VirtualTime } from './virtual-time.ts'

/** A process that shares a ledger with others, as far as pace is concerned. */
export interface PacedProcess {
  readonly pacer: Pacer
  readonly ledger: Ledger
  /** Milliseconds that requests waited, in the order they went. */
  readonly waits: number[]
  /** The limits on concurrency that were told. */
  readonly concurrency: number[]
}

/** Opens a pacer with a connection of its own to the ledger. */
export function openProcess(
  time: VirtualTime,
  path: string,
  limits: readonly Limit[],
  more: Partial<PacerContext> = {},
): PacedProcess {
  const ledger = sqlite({ path, now: time.now })
  const waits: number[] = []
  const concurrency: number[] = []
  const pacer = new Pacer({
    api: 'vendor',
    limits,
    longestWaitMs: 60_000,
    ledger,
    now: time.now,
    sleep: time.sleep,
    onWait: ms => waits.push(ms),
    onConcurrency: limit => concurrency.push(limit),
    ...more,
  })
  return { pacer, ledger, waits, concurrency }
}
