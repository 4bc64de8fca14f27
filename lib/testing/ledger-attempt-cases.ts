import { deepEqual, equal, partialDeepStrictEqual, rejects } from 'node:assert/strict'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import { ACTIVE_STATES, CHUNK_STATES, type ChunkState, NEXT_STATES } from '../ledger/states.ts'
import {
  begin,
  claimOf,
  day,
  LEASE,
  type LedgerCase,
  type LedgerHost,
  ledgerCase,
  PROBLEM,
  publish,
  stage,
  summaryOf,
} from './ledger-case.ts'

/** Everything an attempt can write, by the state it leads to. */
const WRITES: Readonly<Record<string, (ledger: Ledger, claim: Claim) => Promise<void>>> = {
  staged: (ledger, claim) => stage(ledger, claim),
  committing: (ledger, claim) => ledger.committing([claim.attemptId]),
  published: (ledger, claim) => ledger.published(claim.attemptId, summaryOf(claim), []),
  unchanged: (ledger, claim) => ledger.unchanged(claim.attemptId, summaryOf(claim)),
  pending: (ledger, claim) =>
    ledger.settle(claim.attemptId, { state: 'pending', problem: PROBLEM, certain: false }, summaryOf(claim)),
  held: (ledger, claim) => ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: false }, summaryOf(claim)),
  failed: (ledger, claim) =>
    ledger.settle(claim.attemptId, { state: 'failed', problem: PROBLEM, certain: false }, summaryOf(claim)),
  parked: (ledger, claim) =>
    ledger.settle(claim.attemptId, { state: 'parked', problem: PROBLEM, certain: false }, summaryOf(claim)),
}

/** All that the file holds, but for who holds which lease. */
async function contents(sql: LedgerHost['sql']): Promise<unknown> {
  const tables = ['run', 'chunk', 'attempt', 'day', 'restatement', 'shape']
  return Promise.all(tables.map(table => sql(`SELECT * FROM ${table} ORDER BY 1, 2, 3, 4`)))
}

const ONE_DAY = { window: { from: '2026-01-01', to: '2026-01-01' } }

/** What becomes of attempts. */
export const ATTEMPT_CASES: readonly LedgerCase[] = [
  ledgerCase(
    'a claim names the span of the attempt before, whoever made it, where that was traced',
    async ({ ledger, another }) => {
      const run = await begin(ledger, ONE_DAY)
      const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
      const again = { state: 'pending', problem: PROBLEM, certain: true } as const
      const first = await claimOf(ledger, run)
      deepEqual(first.before, undefined)
      await ledger.settle(first.attemptId, again, summaryOf(first, { trace }))
      const second = await claimOf(another('elsewhere 1 1'), run)
      deepEqual(second.before, trace)
      await ledger.settle(second.attemptId, again, summaryOf(second))
      deepEqual((await claimOf(ledger, run)).before, undefined)
    },
  ),
  ledgerCase('an attempt that lost its chunk can write nothing', async ({ ledger, another, sql, clock }) => {
    const other = another('elsewhere 1 1')
    const run = await begin(ledger)
    await publish(ledger, await claimOf(ledger, run))
    const stale = await claimOf(other, run)
    clock.now += LEASE
    const current = await claimOf(ledger, run)
    deepEqual(current.chunk, stale.chunk)
    for (const state of ['running', 'staged']) {
      if (state === 'staged') await stage(ledger, current)
      const before = await contents(sql)
      for (const [name, write] of Object.entries(WRITES)) {
        await rejects(write(other, stale), { code: 'LEASE_LOST', message: /no longer owns its chunk/ }, `${name} of ${state}`)
      }
      deepEqual(await other.renew([stale.attemptId], LEASE), [stale.attemptId])
      deepEqual(await contents(sql), before)
    }
    await ledger.published(current.attemptId, summaryOf(current), [])
  }),
  ledgerCase('of several attempts that begin to commit, one that lost its chunk stops them all', async ({ ledger, sql }) => {
    const run = await begin(ledger)
    const claim = await claimOf(ledger, run)
    await publish(ledger, claim)
    const again = await begin(ledger, { force: true })
    const current = await claimOf(ledger, again)
    await rejects(ledger.committing([current.attemptId, 'unknown']), { code: 'LEASE_LOST' })
    deepEqual(await sql('SELECT doubted_by FROM day'), [{ doubted_by: null }])
  }),
  ledgerCase('every way from one state to another is open or closed as the table of states says', async ({ ledger, sql }) => {
    const run = await begin(ledger, ONE_DAY)
    const claim = await claimOf(ledger, run)
    const force = (state: ChunkState): Promise<unknown> =>
      sql('UPDATE chunk SET state = ?, not_before = 0, lease_until = 0', state)
    const state = async (): Promise<unknown> => (await sql('SELECT state FROM chunk'))[0]?.state
    let refused = 0
    for (const from of CHUNK_STATES) {
      const next: readonly ChunkState[] = NEXT_STATES[from]
      const active = (ACTIVE_STATES as readonly ChunkState[]).includes(from)
      for (const to of CHUNK_STATES) {
        const write = WRITES[to]
        if (write === undefined) continue
        await force(from)
        if (active && next.includes(to)) {
          await write(ledger, claim)
          equal(await state(), to, `${from} -> ${to}`)
          continue
        }
        const before = await contents(sql)
        await rejects(write(ledger, claim), { code: 'LEASE_LOST', message: new RegExp(from) }, `${from} -> ${to}`)
        deepEqual(await contents(sql), before)
        refused++
      }
      await force(from)
      if (!active) await rejects(ledger.committing([claim.attemptId]), { code: 'LEASE_LOST' }, `${from} is not committed`)
      await force(from)
      await begin(ledger, ONE_DAY)
      equal(await state(), next.includes('pending') && !active ? 'pending' : from, `${from}, when the run is taken up`)
    }
    equal(refused, 7 * 8 - 5 - 7)
    for (const from of CHUNK_STATES) {
      await sql('UPDATE chunk SET state = ?, attempt_id = ?, lease_until = 0, offered_until = 0', from, claim.attemptId)
      const got = await ledger.claim(run.id, LEASE)
      equal(
        got !== undefined && 'chunk' in got,
        (NEXT_STATES[from] as readonly ChunkState[]).includes('running'),
        `${from} -> running`,
      )
    }
  }),
  ledgerCase('a day is in doubt from the beginning of a commit to its recorded end', async ({ ledger, clock }) => {
    const doubts = async (): Promise<boolean[]> => (await ledger.allDays('p', 'a')).map(({ doubtful }) => doubtful)
    const window = { from: '2026-01-01', to: '2026-01-03' }
    const run = await begin(ledger, { window }, 3)
    const first = await claimOf(ledger, run)
    await stage(ledger, first)
    await ledger.committing([first.attemptId])
    deepEqual(await doubts(), [], 'what was never published is not there')
    await ledger.published(first.attemptId, summaryOf(first), [])
    deepEqual(await doubts(), [false, false, false])

    const part = await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } })
    const second = await claimOf(ledger, part)
    await stage(ledger, second)
    deepEqual(await doubts(), [false, false, false])
    await ledger.committing([second.attemptId])
    deepEqual(await doubts(), [false, true, false])
    await ledger.unchanged(second.attemptId, summaryOf(second))
    deepEqual(await doubts(), [false, false, false])

    for (const end of ['settled', 'killed'] as const) {
      const run = await begin(ledger, { window, force: true }, 3)
      const claim = await claimOf(ledger, run)
      await ledger.committing([claim.attemptId])
      if (end === 'settled')
        await ledger.settle(claim.attemptId, { state: 'pending', problem: PROBLEM, certain: false }, summaryOf(claim))
      clock.now += LEASE
      deepEqual(await doubts(), [true, true, true], `nobody knows how it ended: ${end}`)
      await publish(ledger, await claimOf(ledger, run))
      deepEqual(await doubts(), [false, false, false])
      await ledger.finishRun(run.id)
    }
  }),
  ledgerCase('a commit that is certainly rolled back takes its own doubt along, and no other', async ({ ledger, clock }) => {
    const doubts = async (): Promise<boolean[]> => (await ledger.allDays('p', 'a')).map(({ doubtful }) => doubtful)
    await publish(ledger, await claimOf(ledger, await begin(ledger, ONE_DAY)))
    const run = await begin(ledger, { ...ONE_DAY, force: true })
    const rollBack = async (): Promise<void> => {
      const claim = await claimOf(ledger, run)
      await ledger.committing([claim.attemptId])
      await ledger.settle(claim.attemptId, { state: 'pending', problem: PROBLEM, certain: true }, summaryOf(claim))
    }
    await rollBack()
    deepEqual(await doubts(), [false])
    await ledger.committing([(await claimOf(ledger, run)).attemptId])
    clock.now += LEASE
    await rollBack()
    deepEqual(await doubts(), [true], 'how the killed one ended is still not known')
  }),
  ledgerCase('a day that is found unchanged was read then, and published when it was', async ({ ledger }) => {
    const window = { from: '2026-01-01', to: '2026-01-02' }
    const days = [day('2026-01-01', 2), day('2026-01-02', 3)]
    const instants = async (): Promise<number[][]> =>
      (await ledger.allDays('p', 'a')).map(({ publishedAt, readAt }) => [publishedAt, readAt])
    await publish(ledger, await claimOf(ledger, await begin(ledger, { window })), { days, finishedAt: 1 })
    const again = await claimOf(ledger, await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } }))
    await stage(ledger, again)
    await ledger.unchanged(again.attemptId, summaryOf(again, { finishedAt: 2 }))
    deepEqual((await instants()).flat(), [1, 1, 1, 2])
    await publish(ledger, await claimOf(ledger, await begin(ledger, { window, force: true })), { days, finishedAt: 3 })
    deepEqual((await instants()).flat(), [3, 3, 3, 3])
  }),
  ledgerCase('what was published is remembered day by day, and replaced day by day', async ({ ledger }) => {
    const run = await begin(ledger, {}, 3)
    const first = await claimOf(ledger, run)
    const days = [day('2026-01-01', 2), day('2026-01-02', 0, { totals: { cost: '0' } }), day('2026-01-03', 9)]
    await publish(ledger, first, { days, finishedAt: 111 })
    const part = await claimOf(ledger, await begin(ledger, { window: { from: '2026-01-02', to: '2026-01-02' } }))
    await publish(ledger, part, { days: [day('2026-01-02', 5, { rejected: 3 })], finishedAt: 222 })
    deepEqual(
      (await ledger.allDays('p', 'a')).map(({ day, rows, rejected, fingerprint, totals, attemptId, publishedAt }) => [
        day,
        rows,
        rejected,
        fingerprint,
        totals,
        attemptId === first.attemptId ? 'first' : 'part',
        publishedAt,
      ]),
      [
        ['2026-01-01', 2, 0, 'f2', { cost: '2.5' }, 'first', 111],
        ['2026-01-02', 5, 3, 'f5', { cost: '5.5' }, 'part', 222],
        ['2026-01-03', 9, 0, 'f9', { cost: '9.5' }, 'first', 111],
      ],
    )
    const window = { from: '2026-01-02', to: '2026-02-28' }
    deepEqual(
      (await ledger.days('p', 'a', window)).map(({ day }) => day),
      ['2026-01-02', '2026-01-03'],
    )
    deepEqual(await ledger.days('q', 'a', window), [])
    deepEqual(await ledger.days('p', 'A', window), [])
  }),
  ledgerCase('an attempt that failed leaves what was published as it was', async ({ ledger }) => {
    await publish(ledger, await claimOf(ledger, await begin(ledger, ONE_DAY)))
    const before = await ledger.allDays('p', 'a')
    const claim = await claimOf(ledger, await begin(ledger, { ...ONE_DAY, force: true }))
    const summary = summaryOf(claim, { days: [day('2026-01-01', 77)], fields: ['never'] })
    await stage(ledger, claim, summary)
    await ledger.settle(claim.attemptId, { state: 'held', problem: PROBLEM, certain: false }, summary)
    deepEqual(await ledger.allDays('p', 'a'), before)
    equal((await ledger.knownShape('p', 'a')).fields, undefined)
  }),
  ledgerCase('fields that were ever seen stay known', async ({ ledger }) => {
    equal((await ledger.knownShape('p', 'a')).fields, undefined)
    const run = await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-04' } })
    const known = []
    for (const fields of [['b', 'a.x'], [], ['c'], ['a.x']]) {
      const claim = await claimOf(ledger, run)
      if (fields.length === 1) {
        await stage(ledger, claim)
        await ledger.unchanged(claim.attemptId, summaryOf(claim, { fields }))
      } else await publish(ledger, claim, { fields })
      known.push([...((await ledger.knownShape('p', 'a')).fields ?? [])])
    }
    deepEqual(known, [
      ['a.x', 'b'],
      ['a.x', 'b'],
      ['a.x', 'b', 'c'],
      ['a.x', 'b', 'c'],
    ])
    equal((await ledger.knownShape('q', 'a')).fields, undefined)
  }),
  ledgerCase('a chunk that is replaced by its parts is gone, and each part begins anew', async ({ ledger, sql }) => {
    const run = await begin(ledger, {}, 3)
    const claim = await claimOf(ledger, run)
    const parts = [
      { from: '2026-01-01', to: '2026-01-02' },
      { from: '2026-01-03', to: '2026-01-03' },
    ]
    const settlement = { state: 'pending', problem: PROBLEM, certain: false, parts } as const
    await ledger.settle(claim.attemptId, settlement, summaryOf(claim))
    for (const [name, write] of Object.entries(WRITES)) await rejects(write(ledger, claim), { code: 'LEASE_LOST' }, name)
    partialDeepStrictEqual(await ledger.progress(run.id), { pending: 2, running: 0 })
    partialDeepStrictEqual(await ledger.chunksLeft(run.id), [
      { chunk: { client: 'a', window: parts[0] }, state: 'pending', attempts: 0, problem: null, notBefore: 0 },
      { chunk: { client: 'a', window: parts[1] }, state: 'pending', attempts: 0, problem: null, notBefore: 0 },
    ])
    deepEqual((await begin(ledger, {}, 3)).id, run.id, 'the run is taken up with the parts')
    const claims = [await claimOf(ledger, run), await claimOf(ledger, run)]
    partialDeepStrictEqual(claims, [
      { chunk: { window: parts[0] }, attempt: 1 },
      { chunk: { window: parts[1] }, attempt: 1 },
    ])
    for (const part of claims) await publish(ledger, part)
    equal((await ledger.days('p', 'a', { from: '2026-01-01', to: '2026-01-03' })).length, 3)
    partialDeepStrictEqual(await ledger.totals(run.id), { states: { published: { chunks: 2, staged: 3 } } })
    deepEqual(await sql('SELECT outcome FROM attempt ORDER BY generation'), [
      { outcome: PROBLEM.code },
      { outcome: 'published' },
      { outcome: 'published' },
    ])
  }),
  ledgerCase('parts that cannot be written leave the chunk as it was', async ({ ledger, sql }) => {
    const run = await begin(ledger, {}, 2)
    const claim = await claimOf(ledger, run)
    const before = await contents(sql)
    const parts = [claim.chunk.window, { from: '2026-01-03', to: '2026-01-03' }]
    const settlement = { state: 'pending', problem: PROBLEM, certain: false, parts } as const
    await rejects(ledger.settle(claim.attemptId, settlement, summaryOf(claim)), { code: 'LEDGER_FAILED' })
    deepEqual(await contents(sql), before)
  }),
]
