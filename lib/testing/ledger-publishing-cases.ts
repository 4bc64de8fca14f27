import { deepEqual, equal, partialDeepStrictEqual, rejects } from 'node:assert/strict'
import type { Ledger, Run } from '../ledger/ledger.ts'
import { chunksOf, claimOf, GONE, LEASE, type LedgerCase, ledgerCase, publish, request, stage, summaryOf } from './ledger-case.ts'

const ONE_DAY = { window: { from: '2026-01-01', to: '2026-01-01' } }

/** Begins a run that daemons serve. */
async function begin(ledger: Ledger, more: Parameters<typeof request>[0]): Promise<Run> {
  const wanted = request(more)
  const run = await ledger.beginRun(wanted, chunksOf(wanted), { served: true })
  if (run === undefined) throw new Error('nothing begins')
  return run
}

/** Turns at a table, and what others have staged. */
export const PUBLISHING_CASES: readonly LedgerCase[] = [
  ledgerCase(
    'a table is taken by one holder at a time, for as long as that lives and says so',
    async ({ ledger, clock, another }) => {
      const other = another('two')
      equal(await ledger.takeTable('ads', 'a', 1_000), true)
      equal(await ledger.takeTable('ads', 'a', 1_000), true, 'again, for longer')
      equal(await other.takeTable('ads', 'b', 1_000), false)
      equal(await ledger.takeTable('ads', 'b', 1_000), false, 'nor by another holder of the same process')
      equal(await other.takeTable('other', 'b', 1_000), true)
      await other.leaveTable('ads', 'b')
      equal(await other.takeTable('ads', 'b', 1_000), false, 'nobody lets go of what is not his')
      await ledger.leaveTable('ads', 'a')
      equal(await other.takeTable('ads', 'b', 1_000), true)
      clock.now += 1_001
      equal(await ledger.takeTable('ads', 'a', 1_000), true, 'whoever is silent for so long has lost it')
      const dead = another(GONE)
      equal(await dead.takeTable('third', 'c', 1_000), true)
      equal(await ledger.takeTable('third', 'a', 1_000), true, 'a process that is gone holds nothing')
    },
  ),
  ledgerCase(
    'what a process has staged is offered to the others, with everything they need',
    async ({ ledger, clock, another }) => {
      const other = another('elsewhere 1 1')
      const claim = await claimOf(other, await begin(other, ONE_DAY))
      deepEqual(await ledger.stagedByOthers('p'), [])
      await stage(other, claim)
      deepEqual(await other.stagedByOthers('p'), [], 'its own are not offered to it')
      deepEqual(await ledger.stagedByOthers('q'), [])
      const [offered] = await ledger.stagedByOthers('p')
      partialDeepStrictEqual(offered, {
        claim,
        member: { attemptId: claim.attemptId, receipt: claim.attemptId },
        orphaned: false,
      })
      deepEqual(offered?.summary, summaryOf(claim))
      clock.now += LEASE + 1
      partialDeepStrictEqual(await ledger.stagedByOthers('p'), [{ orphaned: true }])
    },
  ),
  ledgerCase(
    'a chunk that is staged and left is not read again for an hour, and its days by no other run',
    async ({ ledger, clock, another }) => {
      const dead = another(GONE)
      const run = await begin(dead, ONE_DAY)
      const claim = await claimOf(dead, run)
      await stage(dead, claim)
      const other = await begin(ledger, { ...ONE_DAY, force: true })
      deepEqual(await ledger.claim(run.id, LEASE), { waitMs: 500 })
      deepEqual(await ledger.claim(other.id, LEASE), { waitMs: 500 })
      deepEqual(await ledger.aliveAttempts(), new Set([claim.attemptId]), 'nobody removes what it has staged')
      clock.now += 3_600_001
      deepEqual(await ledger.stagedByOthers('p'), [])
      deepEqual(await ledger.aliveAttempts(), new Set())
      partialDeepStrictEqual(await ledger.claim(run.id, LEASE), { attempt: 2 })
    },
  ),
  ledgerCase('what is withdrawn is offered to nobody, and read again by whoever comes next', async ({ ledger, another }) => {
    const dead = another(GONE)
    const run = await begin(dead, ONE_DAY)
    const claim = await claimOf(dead, run)
    await stage(dead, claim)
    await dead.withdraw(claim.attemptId)
    deepEqual(await ledger.stagedByOthers('p'), [])
    partialDeepStrictEqual(await ledger.claim(run.id, LEASE), { attempt: 2 })
  }),
  ledgerCase(
    'chunks of a run that nobody serves are offered to nobody: whoever takes it up reads them again',
    async ({ ledger, another }) => {
      const dead = another(GONE)
      const wanted = request(ONE_DAY)
      const run = await dead.beginRun(wanted, chunksOf(wanted))
      await stage(dead, await claimOf(dead, run))
      deepEqual(await ledger.stagedByOthers('p'), [])
      partialDeepStrictEqual(await ledger.claim(run.id, LEASE), { attempt: 2 })
    },
  ),
  ledgerCase('whoever publishes it, everybody can read what was written down', async ({ ledger, another }) => {
    const other = another('elsewhere 1 1')
    const claim = await claimOf(other, await begin(other, ONE_DAY))
    await stage(other, claim)
    deepEqual(await other.recorded([claim.attemptId]), new Map())
    const restated = { rowsBefore: 1, rowsAfter: 2, totalsBefore: {}, totalsAfter: { cost: '1' }, added: 1, removed: 0, at: 5 }
    const restatement = { pipeline: 'p', client: 'a', day: '2026-01-01', ...restated }
    await ledger.committing([claim.attemptId])
    await ledger.published(claim.attemptId, summaryOf(claim), [restatement])
    deepEqual(
      await other.recorded([claim.attemptId, 'nobody']),
      new Map([[claim.attemptId, { state: 'published', summary: summaryOf(claim), restatements: [restatement] }]]),
    )
    deepEqual(await ledger.stagedByOthers('p'), [])
    await rejects(publish(other, claim), { code: 'LEASE_LOST' })
  }),
]
