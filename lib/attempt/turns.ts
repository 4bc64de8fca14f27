import { randomUUID } from 'node:crypto'
import { chunkText } from '../chunk.ts'
import { asHeadraceError } from '../errors.ts'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import type { Recorded, StagedChunk } from '../ledger/publishing.ts'
import type { Log } from '../log.ts'
import type { Options } from '../options.ts'
import type { Candidate, Committed, Turns } from '../steps/commit.ts'
import { inSpan } from '../trace.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { record } from './record.ts'
import { settlementOf } from './settlement.ts'
import type { Telemetry } from './telemetry.ts'

/** What the turns of a process need of its surroundings. */
export interface TurnHost {
  readonly ledger: Ledger
  readonly warehouse: Warehouse
  readonly options: Options
  readonly log: Log
  /** Ends the wait for a turn. */
  readonly signal: AbortSignal
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Tells of an attempt that this process answers for. */
  telemetry(claim: Claim): Telemetry
}

/** The first pause between two looks whether a table is free; it doubles. */
const LOOK_MS = 25

/** The longest. */
const LOOK_AT_LEAST_MS = 500

/** The turns that the processes on one ledger take. */
export function turnsOf({ ledger, warehouse, options, log, signal, now, sleep, telemetry }: TurnHost): Turns<Recorded> {
  const holder = randomUUID()
  const ms = options.leaseSeconds * 1_000
  /** Attempts of others that could not be published here: theirs are to deal with them. */
  const refused = new Set<string>()

  /** Neither end may fail: whatever goes wrong with a chunk of others, those that are published with it have theirs. */
  function candidate({ claim, member, summary, orphaned }: StagedChunk): Candidate {
    async function refuse(thrown: unknown): Promise<void> {
      // Its own process finds out by itself; of those that are gone nobody does.
      if (!orphaned) return void refused.add(member.attemptId)
      const error = asHeadraceError(thrown)
      const settlement = settlementOf(error, claim, options, { now: now(), persistent: true })
      try {
        await ledger.settle(claim.attemptId, settlement, summary)
        telemetry(claim).failed(settlement, error, summary)
        await warehouse.discard(member)
      } catch (failure) {
        const named = { err: asHeadraceError(failure), attempt: member.attemptId, refusedFor: error.message }
        log.warn(
          { event: 'staged.left', ...named },
          `${chunkText(member.chunk)} could not be settled, and is left to the next turn`,
        )
      }
    }
    async function write(committed: Committed): Promise<void> {
      const { pipeline, client, window } = member.chunk
      const published = await ledger.days(pipeline, client, window)
      const { state, ...recorded } = await inSpan(
        'headrace.reconcile',
        {},
        () => record(ledger, { member, summary, published }, committed, now()),
        { parent: summary.trace ?? null },
      )
      // Whoever has staged it tells of it; but those who are gone cannot.
      if (!orphaned) return
      telemetry(claim).succeeded(state, recorded.summary, recorded.restatements)
      await warehouse.discard(member)
    }
    return { member, trace: summary.trace, committed: committed => write(committed).catch(refuse), refused: refuse }
  }

  return {
    async take(table, work) {
      for (let pause = LOOK_MS; !(await ledger.takeTable(table, holder, ms)); pause = Math.min(2 * pause, LOOK_AT_LEAST_MS)) {
        await sleep(pause, signal)
      }
      // Should it fail, the turn may end before the work does: then the commit is fenced like that of any attempt that comes late.
      const renewal = setInterval(
        () => void ledger.takeTable(table, holder, ms).catch(error => log.warn({ event: 'turn.not_renewed', err: error }, table)),
        ms / 4,
      ).unref()
      try {
        await work()
      } finally {
        clearInterval(renewal)
        await ledger.leaveTable(table, holder)
      }
    },
    published: attemptIds => ledger.recorded(attemptIds),
    staged: async pipeline => {
      const found = await ledger.stagedByOthers(pipeline)
      return found.filter(({ member }) => !refused.has(member.attemptId)).map(candidate)
    },
  }
}
