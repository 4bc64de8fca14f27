import { join } from 'node:path'
import * as fc from 'fast-check'
import t from 'tap'
import { type BucketState, FRESH_BUCKET, type PaceLedger, reserve, slowed } from '../../lib/ledger/pace.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import type { Limit, TryOutcome } from '../../lib/pace/pace.ts'
import { folder } from '../ledger/kit.ts'
import { openProcess } from './process.ts'
import { VirtualTime } from './virtual-time.ts'

const limit: fc.Arbitrary<Limit> = fc.record(
  {
    per: fc.constantFrom('app', 'account', 'endpoint'),
    requests: fc.integer({ min: 1, max: 40 }),
    seconds: fc.constantFrom(1, 2, 10, 60),
    burst: fc.integer({ min: 1, max: 30 }),
  },
  { requiredKeys: ['per', 'requests', 'seconds'] },
)

const outcome: fc.Arbitrary<TryOutcome> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<TryOutcome>({ status: 200, outcome: 'ok' }) },
  fc.constant<TryOutcome>({ status: 0, outcome: 'failed' }),
  fc.constant<TryOutcome>({ status: 0, outcome: 'abandoned' }),
  fc.constant<TryOutcome>({ status: 429, outcome: 'throttled' }),
  fc.constant<TryOutcome>({ status: 429, outcome: 'throttled', waitMs: 1_500 }),
  fc.constant<TryOutcome>({ status: 200, outcome: 'ok', limits: [{ bucket: 'app', remaining: 3, limit: 100, resetMs: 2_000 }] }),
  fc.constant<TryOutcome>({ status: 200, outcome: 'ok', limits: [{ bucket: 'account', usedRatio: 0.97 }] }),
)

const asked = fc.record({
  process: fc.nat(2),
  client: fc.constantFrom('a', 'b'),
  endpoint: fc.constantFrom('x', 'y'),
  cost: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.integer({ min: 0, max: 8 })),
  priority: fc.constantFrom('live' as const, 'backfill' as const),
  comes: fc.nat(1_000),
  takes: fc.nat(400),
  /** After how many milliseconds it is not wanted any more. */
  patience: fc.option(fc.nat(2_000), { nil: undefined, freq: 4 }),
  outcome,
})

/** The most that a limit may let through in a window of its length, wherever that begins. */
function most({ requests, seconds, burst }: Limit, dearest: number): number {
  const depth = burst ?? Math.max(1, Math.floor(requests / 20))
  const dearer = Math.max(0, dearest - depth)
  // A request that is dear, or whose API has a bucket, may be 25 ms late for its place in the schedule.
  const late = (25 * requests) / (seconds * 1_000)
  return burst === undefined ? requests + dearer + (dearest > 1 ? late : 0) : requests + depth + dearer + late
}

t.test(
  'whatever is asked, refused, given up and told, no limit is exceeded in any window, and everybody gets an answer in time',
  async t => {
    const path = join(folder(t), 'ledger.sqlite')
    let time = new VirtualTime()
    let run = 0
    const ledgers = Array.from({ length: 3 }, () => sqlite({ path, now: () => time.now() }))
    t.teardown(() => Promise.all(ledgers.map(ledger => ledger.close())))
    await fc.assert(
      fc.asyncProperty(
        fc.array(limit, { maxLength: 4 }),
        fc.array(asked, { minLength: 20, maxLength: 100, size: 'max' }),
        fc.integer({ min: 1, max: 5 }),
        async (limits, requests, concurrency) => {
          time = new VirtualTime()
          const api = `run ${run++}`
          // Time stands still while they talk to the ledger.
          let reports = 0
          const processes = ledgers.map(shared => {
            const ledger: PaceLedger = {
              pace: async report => {
                if (++reports > 20 * requests.length) throw new Error('processes talk to the ledger without end')
                return shared.pace(report)
              },
            }
            return openProcess(time, path, limits, { api, ledger, concurrency, longestWaitMs: 3_600_000 })
          })
          const went: { at: number; app: string; account: string; endpoint: string; cost: number }[] = []
          const underWay = new Map<string, number>()
          const count = (key: string, by: number): number => {
            underWay.set(key, (underWay.get(key) ?? 0) + by)
            return underWay.get(key) ?? 0
          }
          const read = async (request: (typeof requests)[number]): Promise<void> => {
            const { client, endpoint, cost } = request
            await time.sleep(request.comes)
            const abort = new AbortController()
            const over = new AbortController()
            if (request.patience !== undefined) {
              void time.sleep(request.patience, over.signal).then(
                () => abort.abort(new Error('not wanted')),
                () => undefined,
              )
            }
            try {
              const pace = processes[request.process]?.pacer.pace(request.priority)
              const permit = await pace?.acquire({ client, endpoint, cost }, abort.signal)
              went.push({ at: time.now(), app: '', account: client, endpoint: `${client} ${endpoint}`, cost })
              const key = `${request.process} ${client}`
              if (count(key, 1) > concurrency) throw new Error(`more than ${concurrency} at once`)
              await time.sleep(request.takes)
              count(key, -1)
              permit?.done(request.outcome)
              permit?.done(request.outcome)
            } catch (error) {
              if (!(error instanceof Error && error.message === 'not wanted')) throw error
            } finally {
              over.abort()
            }
          }
          // In seconds, when all of them are for one bucket; refusals slow it down.
          const total = requests.reduce((sum, { cost }) => sum + cost, 0)
          const longest = Math.max(0, ...limits.map(one => (total * one.seconds) / one.requests))
          await time.run(Promise.all(requests.map(read)), 10_000 * (longest + 10))
          for (const one of limits) {
            const bound = most(one, Math.max(...requests.map(({ cost }) => cost)))
            for (const first of went) {
              const within = went.filter(
                other => other[one.per] === first[one.per] && other.at >= first.at && other.at < first.at + one.seconds * 1_000,
              )
              const sum = within.reduce((total, { cost }) => total + cost, 0)
              if (sum > bound + 1e-6) throw new Error(`${JSON.stringify(one)}: ${sum} within a window, ${bound} at most`)
            }
          }
          // All permits came back: as many as ever may go at once, one after the other.
          await time.run(
            Promise.all(
              processes.map(async ({ pacer }) => {
                for (let index = 0; index <= concurrency; index++) {
                  const permit = await pacer
                    .pace('live')
                    .acquire({ client: 'a', endpoint: 'x', cost: 1 }, new AbortController().signal)
                  permit.done({ status: 200, outcome: 'ok' })
                }
              }),
            ),
          )
          for (const { pacer } of processes) await pacer.close()
        },
      ),
      {
        endOnFailure: true,
        numRuns: Number(process.env.RUNS ?? 60),
        ...(process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) }),
      },
    )
  },
)

t.test('stretches of a schedule never overlap, never begin before the reach, and nothing is given during a pause', t => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ ms: fc.integer({ min: 1, max: 500 }), reachMs: fc.nat(1_000), live: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ pauseMs: fc.nat(3_000) }) },
    { weight: 5, arbitrary: fc.record({ passes: fc.nat(2_000) }) },
  )
  const proven = fc.check(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let now = 1_700_000_000_000
      let state: BucketState = FRESH_BUCKET
      let given = 0
      let pausedUntil = 0
      for (const one of steps) {
        if ('passes' in one) now += one.passes
        else if ('pauseMs' in one) {
          state = slowed(state, one.pauseMs, now)
          pausedUntil = Math.max(pausedUntil, now + one.pauseMs)
        } else {
          const priority = one.live ? 'live' : 'backfill'
          const wish = {
            bucket: 'b',
            cost: one.ms,
            total: one.ms,
            depth: one.reachMs,
            intervalMs: 1,
            spacedMs: 0,
            priority,
          } as const
          const { answers, changed } = reserve(
            { afterMs: 0, scopes: [[{ ...wish, held: undefined, unused: undefined }]] },
            new Map([['b', state]]),
            now,
          )
          state = changed.get('b') ?? state
          const answer = answers[0]?.[0]
          if (answer === undefined) throw new Error('no answer')
          if ('waitMs' in answer) {
            if (answer.waitMs <= 0) throw new Error('waits for nothing')
            continue
          }
          if (now < pausedUntil) throw new Error('given during a pause')
          const from = now + answer.fromMs
          if (from < given - 1e-3) throw new Error(`begins at ${from}, and ${given} is given away`)
          if (answer.fromMs < -one.reachMs / answer.share - 1e-3) throw new Error('begins before the reach')
          if (answer.toMs - answer.fromMs < one.ms - 1e-3) throw new Error('is shorter than at the declared rate')
          given = answer.end
        }
      }
    }),
    { numRuns: 300, seed: 4 },
  )
  t.equal(proven.failed, false, fc.defaultReportMessage(proven) ?? 'all held')
  t.end()
})
