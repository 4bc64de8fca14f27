import fc from 'fast-check'
import t from 'tap'
import { addDays, daysOf, splitWindow, type Window } from '../../lib/chunk.ts'
import { HeadraceError } from '../../lib/errors.ts'
import type { Claim, Ledger, Settlement } from '../../lib/ledger/ledger.ts'
import type { Edge, Served } from '../../lib/ledger/served.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import type { ChunkState } from '../../lib/ledger/states.ts'
import { PROBLEM, request, stage, summaryOf } from '../ledger/kit.ts'

/**
 * B never starts before what A has of its days is committed: the claims of the ledger, which is what every engine works by, against a model that knows nothing
 * of SQL, under random schedules, failures, deaths and doubts.
 */

const FIRST = '2026-01-01'
const LEASE_MS = 1_000
const CLIENTS = ['x', 'y']

/** How a run of the model is set up. */
interface Setup {
  /** By pipeline, those it comes after, all of them before it. */
  readonly after: readonly (readonly Edge[])[]
  readonly atOnce: number
  readonly perAccount: number
}

const END = ['publish', 'unchanged', 'failed', 'held', 'parked', 'pending', 'staged', 'committing', 'doubtful'] as const

/** Where a chunk stands after its attempt has ended in a way; who is staged or committing has died. */
const STATE_AFTER = {
  publish: 'published',
  unchanged: 'unchanged',
  failed: 'failed',
  held: 'held',
  parked: 'parked',
  pending: 'pending',
  staged: 'staged',
  committing: 'staged',
  doubtful: 'failed',
} as const satisfies Record<(typeof END)[number], ChunkState>

type Step =
  | {
      readonly do: 'plan'
      readonly pipeline: number
      readonly from: number
      readonly days: number
      readonly size: number
      readonly live: boolean
    }
  | { readonly do: 'claim' }
  | { readonly do: 'end'; readonly which: number; readonly how: (typeof END)[number] }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'revive'; readonly which: number }
  | { readonly do: 'skip'; readonly pipeline: number }
  | { readonly do: 'collect' }

interface ModelChunk {
  readonly pipeline: string
  readonly client: string
  readonly window: Window
  readonly runId: string
  state: ChunkState
  attemptId: string
  leaseUntil: number
}

const nameOf = (index: number): string => `p${index}`
const key = (pipeline: string, client: string, day: string): string => `${pipeline} ${client} ${day}`
const overlap = (a: Window, b: Window): boolean => a.from <= b.to && a.to >= b.from

/** What must be true, worked out without the ledger. */
class World {
  readonly ledger: Ledger
  readonly served: Served
  readonly #setup: Setup
  readonly #chunks: ModelChunk[] = []
  /** Days that have been published, and the attempt that has left each in doubt. */
  readonly #days = new Map<string, string | null>()
  readonly #claims: { readonly claim: Claim; readonly chunk: ModelChunk }[] = []
  /** Chunks whose processes died once they had staged them; somebody else publishes them. */
  #orphans: { readonly claim: Claim; readonly chunk: ModelChunk }[] = []
  now = 1_700_000_000_000
  claimed = 0
  refused = 0

  constructor(setup: Setup) {
    this.#setup = setup
    this.ledger = sqlite({ path: ':memory:', now: () => this.now })
    this.served = {
      pipelines: setup.after.map((after, index) => ({ name: nameOf(index), atOnce: setup.atOnce, after })),
      perAccount: setup.perAccount,
    }
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'plan':
        return this.#plan(step)
      case 'claim':
        return void (await this.claim())
      case 'end':
        return this.#claims.length === 0 ? undefined : this.#end(step.which % this.#claims.length, step.how)
      case 'pass':
        this.now += step.ms
        return
      case 'revive': {
        const problems = this.#chunks.filter(({ state }) => state === 'held' || state === 'failed' || state === 'parked')
        const chunk = problems[step.which % Math.max(1, problems.length)]
        if (chunk === undefined) return
        if (!(await this.ledger.revive(chunk.runId, chunk.client, chunk.window.from, false)))
          throw new Error('nothing was revived')
        chunk.state = 'pending'
        return
      }
      case 'collect':
        return this.#collect()
      case 'skip':
        return this.#skip(step.pipeline % this.#setup.after.length)
    }
  }

  async #plan({ pipeline, from, days, size, live }: Extract<Step, { do: 'plan' }>): Promise<void> {
    const name = nameOf(pipeline % this.#setup.after.length)
    const window = { from: addDays(FIRST, from), to: addDays(FIRST, from + days - 1) }
    const chunks = CLIENTS.flatMap(client =>
      splitWindow(window, size).map(
        part => ({ pipeline: name, client, window: part, priority: live ? 'live' : 'backfill' }) as const,
      ),
    )
    const run = await this.ledger.beginRun(request({ command: 'schedule', pipeline: name, window, clients: CLIENTS }), chunks, {
      served: true,
    })
    if (run === undefined) throw new Error('nothing began')
    for (const chunk of chunks) this.#chunks.push({ ...chunk, runId: run.id, state: 'pending', attemptId: '', leaseUntil: 0 })
  }

  /** Claims the next chunk, and finds out whether that was allowed. */
  async claim(): Promise<boolean> {
    const claim = await this.ledger.claim(this.served, LEASE_MS)
    if (claim === undefined || 'waitMs' in claim) return false
    const { pipeline, client, window } = claim.chunk
    const chunk = this.#chunks.find(one => one.runId === claim.runId && one.client === client && one.window.from === window.from)
    if (chunk === undefined) throw new Error(`nobody has planned ${JSON.stringify(claim.chunk)}`)
    const edges = this.#setup.after[Number(pipeline.slice(1))] ?? []
    for (const edge of edges) {
      const why = this.#blockedBy(chunk, edge)
      if (why !== undefined) throw new Error(`${pipeline} ${client} ${window.from} started, but ${edge.pipeline} ${why}`)
    }
    const reading = this.#chunks.filter(({ state, leaseUntil }) => state === 'running' && leaseUntil > this.now)
    if (reading.filter(one => one.pipeline === pipeline).length >= this.#setup.atOnce) throw new Error(`too many of ${pipeline}`)
    if (reading.filter(one => one.client === client).length >= this.#setup.perAccount) throw new Error(`too many of ${client}`)
    if (this.#living().some(one => one.pipeline === pipeline && one.client === client && overlap(one.window, window))) {
      throw new Error('two at once at the same days')
    }
    chunk.state = 'running'
    chunk.attemptId = claim.attemptId
    chunk.leaseUntil = this.now + LEASE_MS
    this.#claims.push({ claim, chunk })
    this.claimed++
    return true
  }

  #living(): ModelChunk[] {
    return this.#chunks.filter(({ state, leaseUntil }) => (state === 'running' || state === 'staged') && leaseUntil > this.now)
  }

  /** Why a chunk may not start yet, if there is a reason. */
  #blockedBy({ client, window }: ModelChunk, { pipeline, gaps }: Edge): string | undefined {
    const days = daysOf(window)
    const certain = days.filter(day => this.#days.get(key(pipeline, client, day)) === null).length
    if (certain < days.length * (1 - gaps)) return `has committed ${certain} of ${days.length} days`
    const about = this.#chunks.find(
      one => one.pipeline === pipeline && one.client === client && overlap(one.window, window) && !isOver(one.state),
    )
    return about === undefined ? undefined : `is about to publish them: ${about.state}`
  }

  async #end(index: number, how: (typeof END)[number]): Promise<void> {
    const [taken] = this.#claims.splice(index, 1)
    if (taken === undefined) return
    const { claim, chunk } = taken
    const mine =
      chunk.attemptId === claim.attemptId && !isOver(chunk.state) && chunk.state !== 'pending' && chunk.state !== 'parked'
    try {
      await this.#carryOut(claim, how)
    } catch (error) {
      if (!(error instanceof HeadraceError && error.code === 'LEASE_LOST')) throw error
      if (mine) throw new Error('an attempt was refused that owned its chunk')
      this.refused++
      return
    }
    if (!mine) throw new Error('a dead attempt was believed')
    const keys = daysOf(chunk.window).map(day => key(chunk.pipeline, chunk.client, day))
    if (how === 'publish') for (const day of keys) this.#days.set(day, null)
    if (how === 'unchanged') for (const day of keys) if (this.#days.has(day)) this.#days.set(day, null)
    if (how === 'committing' || how === 'doubtful')
      for (const day of keys) if (this.#days.get(day) === null) this.#days.set(day, claim.attemptId)
    chunk.state = STATE_AFTER[how]
    if (chunk.state === 'staged') this.#orphans.push(taken)
  }

  /** Publishes what the dead have staged. */
  async #collect(): Promise<void> {
    for (const { claim, chunk } of this.#orphans) {
      await this.ledger.committing([claim.attemptId])
      await this.ledger.published(claim.attemptId, summaryOf(claim), [])
      for (const day of daysOf(chunk.window)) this.#days.set(key(chunk.pipeline, chunk.client, day), null)
      chunk.state = 'published'
    }
    this.#orphans = []
  }

  async #carryOut(claim: Claim, how: (typeof END)[number]): Promise<void> {
    const { ledger } = this
    const { attemptId } = claim
    const summary = summaryOf(claim)
    if (how === 'failed' || how === 'held' || how === 'parked' || how === 'pending') {
      const settlement: Settlement = {
        state: how,
        problem: PROBLEM,
        certain: true,
        notBefore: how === 'parked' ? this.now + 5 * LEASE_MS : 0,
      }
      return ledger.settle(attemptId, settlement, summary)
    }
    await stage(ledger, claim, summary)
    // Whoever dies here, or after the next line, is never heard of again.
    if (how === 'staged') return
    if (how === 'unchanged') return ledger.unchanged(attemptId, summary)
    await ledger.committing([attemptId])
    if (how === 'publish') await ledger.published(attemptId, summary, [])
    if (how === 'doubtful') await ledger.settle(attemptId, { state: 'failed', problem: PROBLEM, certain: false }, summary)
  }

  async #skip(pipeline: number): Promise<void> {
    const edges = this.#setup.after[pipeline] ?? []
    for (const { chunk, runId, upstream } of await this.ledger.failBlocked(nameOf(pipeline), edges)) {
      const found = this.#chunks.find(
        one => one.runId === runId && one.client === chunk.client && one.window.from === chunk.window.from,
      )
      const stuck = this.#chunks.some(
        one =>
          one.pipeline === upstream &&
          one.client === chunk.client &&
          overlap(one.window, chunk.window) &&
          (one.state === 'held' || one.state === 'failed'),
      )
      if (found?.state !== 'pending' || !stuck)
        throw new Error(`${chunk.client} was given up although ${upstream} may still come`)
      found.state = 'failed'
    }
  }

  /** Everybody who is left works on until nothing more can be claimed; then whatever has not started is kept back by a reason. */
  async finish(): Promise<void> {
    for (;;) {
      this.now += 10 * LEASE_MS
      await this.#collect()
      while (await this.claim());
      if (this.#claims.length === 0) break
      while (this.#claims.length > 0) await this.#end(0, 'publish')
    }
    for (const chunk of this.#chunks.filter(({ state }) => !isOver(state))) {
      const edges = this.#setup.after[Number(chunk.pipeline.slice(1))] ?? []
      if (edges.every(edge => this.#blockedBy(chunk, edge) === undefined))
        throw new Error(`${JSON.stringify(chunk)} is never read`)
    }
  }
}

function isOver(state: ChunkState): boolean {
  return state === 'published' || state === 'unchanged' || state === 'held' || state === 'failed'
}

const setups: fc.Arbitrary<Setup> = fc
  .record({
    edges: fc.array(
      fc.array(fc.record({ back: fc.integer({ min: 1, max: 3 }), gaps: fc.constantFrom(0, 0, 0.25, 0.5) }), { maxLength: 2 }),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
    atOnce: fc.integer({ min: 1, max: 4 }),
    perAccount: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ edges, ...limits }) => ({
    ...limits,
    after: [
      [],
      ...edges.map((some, index) => {
        const named = some.map(({ back, gaps }) => ({ pipeline: nameOf(Math.max(0, index + 1 - back)), gaps }))
        return [...new Map(named.map(edge => [edge.pipeline, edge])).values()]
      }),
    ],
  }))

const index = fc.nat({ max: 100 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('plan' as const),
        pipeline: index,
        from: fc.integer({ min: 0, max: 2 }),
        days: fc.integer({ min: 1, max: 2 }),
        size: fc.integer({ min: 1, max: 2 }),
        live: fc.boolean(),
      }),
    },
    { weight: 8, arbitrary: fc.constant<Step>({ do: 'claim' }) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('end' as const),
        which: index,
        how: fc.oneof(
          { weight: 3, arbitrary: fc.constant('publish' as const) },
          { weight: 2, arbitrary: fc.constantFrom(...END) },
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, LEASE_MS, 10 * LEASE_MS) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('revive' as const), which: index }) },
    { weight: 1, arbitrary: fc.constant<Step>({ do: 'collect' }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('skip' as const), pipeline: index }) },
  ),
  { minLength: 15, maxLength: 60 },
)

t.test('B never starts before A has committed its days, under any schedule and any failure', async t => {
  let claimed = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(setups, steps, async (setup, program) => {
      const world = new World(setup)
      try {
        for (const step of program) await world.step(step)
        await world.finish()
        claimed += world.claimed
        refused += world.refused
      } finally {
        await world.ledger.close()
      }
    }),
    { numRuns: 1_000 },
  )
  t.ok(claimed > 3_000, `${claimed} chunks were claimed`)
  t.ok(refused > 100, `${refused} attempts came too late and were refused`)
})
