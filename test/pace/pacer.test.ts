import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { TransientError } from '../../lib/errors.ts'
import type { Priority } from '../../lib/ledger/pace.ts'
import type { Limit, Permit } from '../../lib/pace/pace.ts'
import type { PacerContext } from '../../lib/pace/pacer.ts'
import { folder } from '../ledger/kit.ts'
import { openProcess, type PacedProcess } from './process.ts'
import { VirtualTime } from './virtual-time.ts'

/** A clock, a ledger, and processes on them. */
class World {
  readonly time = new VirtualTime()
  readonly start = this.time.now()
  readonly path: string
  /** Who went, and after how many milliseconds. */
  readonly went: { readonly client: string; readonly at: number }[] = []
  readonly #t: Test

  constructor(t: Test) {
    this.#t = t
    this.path = join(folder(t), 'ledger.sqlite')
  }

  process(limits: readonly Limit[], more: Partial<PacerContext> = {}): PacedProcess {
    const process = openProcess(this.time, this.path, limits, more)
    this.#t.teardown(() => process.ledger.close())
    return process
  }

  /** Asks for leave, writes down when it came, and ends the try after some milliseconds. */
  async go(
    { pacer }: PacedProcess,
    client: string,
    { priority = 'backfill' as Priority, endpoint = '', cost = 1, takes = 0, signal = new AbortController().signal } = {},
  ): Promise<void> {
    const permit = await pacer.pace(priority).acquire({ client, endpoint, cost }, signal)
    this.went.push({ client, at: this.time.now() - this.start })
    if (takes > 0) await this.time.sleep(takes)
    permit.done({ status: 200, outcome: 'ok' })
  }

  times(client?: string): number[] {
    return this.went.filter(one => client === undefined || one.client === client).map(({ at }) => Math.round(at))
  }
}

const FOREVER = new AbortController().signal
const ONCE = { client: 'a', endpoint: '', cost: 1 } as const

t.test('requests are spread so that no window holds more than the limit, and a twentieth may go at once', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 60, seconds: 60 }])
  await world.time.run(Promise.all(Array.from({ length: 130 }, () => world.go(process, 'a'))))
  const times = world.times()
  t.strictSame(times.slice(0, 3), [0, 0, 0])
  for (const at of times) t.ok(times.filter(other => other >= at && other < at + 60_000).length <= 60)
  t.ok((times.at(-1) ?? 0) < 132_000, 'and hardly less')
})

t.test('a bucket that the API documents may be emptied at once, and fills at its rate', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 10, seconds: 1, burst: 40 }])
  await world.time.run(Promise.all(Array.from({ length: 60 }, () => world.go(process, 'a'))))
  t.equal(world.times().filter(at => at === 0).length, 40)
  t.equal(world.times().at(-1), 2_000)
})

t.test('all limits have to allow a request', async t => {
  const world = new World(t)
  const process = world.process([
    { per: 'app', requests: 100, seconds: 1, burst: 1 },
    { per: 'account', requests: 10, seconds: 1, burst: 1 },
    { per: 'account', requests: 20, seconds: 60, burst: 12 },
    { per: 'endpoint', requests: 1, seconds: 1, burst: 1 },
  ])
  const works = ['x', 'y', 'z'].flatMap(endpoint => Array.from({ length: 3 }, () => world.go(process, 'a', { endpoint })))
  await world.time.run(
    Promise.all([...works, ...Array.from({ length: 12 }, (_, index) => world.go(process, 'a', { endpoint: `more ${index}` }))]),
  )
  const times = world.times()
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
  t.ok(Math.min(...gaps) >= 99, 'ten a second for the account')
  t.equal(times.filter(at => at < 10_000).length, 15, 'the minute allows twelve and what has come since')
})

t.test('several shallow limits of one scope, shared by processes, are kept together: all of what they allow is used', async t => {
  const world = new World(t)
  const limits: Limit[] = [
    { per: 'app', requests: 6, seconds: 2 },
    { per: 'app', requests: 6, seconds: 2, burst: 8 },
    { per: 'app', requests: 40, seconds: 10 },
  ]
  const processes = [world.process(limits), world.process(limits), world.process(limits)]
  const works = Array.from({ length: 60 }, (_, index) => processes.map(one => world.go(one, 'a', { cost: 1 + (index % 8) })))
  await world.time.run(Promise.all(works.flat()), 600_000)
  const took = world.times().at(-1) ?? 0
  const ideal = (3 * Array.from({ length: 60 }, (_, index) => 1 + (index % 8)).reduce((sum, cost) => sum + cost) * 2_000) / 6
  t.ok(took <= 1.05 * ideal, `${took} ms, ${ideal} at best`)
})

t.test('a limit of every account and one of the application do not wait for each other, in several processes', async t => {
  const world = new World(t)
  const limits: Limit[] = [
    { per: 'account', requests: 1, seconds: 5 },
    { per: 'app', requests: 10, seconds: 1 },
  ]
  const processes = [world.process(limits), world.process(limits), world.process(limits)]
  const works = Array.from({ length: 400 }, (_, index) => {
    const [one = processes[0]] = processes.slice(index % 3)
    return one === undefined ? undefined : world.go(one, `account ${index % 50}`)
  })
  await world.time.run(Promise.all(works), 600_000)
  const took = world.times().at(-1) ?? 0
  t.ok(took <= 240_000, `${took} ms`)
})

t.test('costs count, and who costs much is not overtaken for ever by those who cost little', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 10, seconds: 1, burst: 1 }])
  const cheap = Array.from({ length: 60 }, () => world.go(process, 'cheap'))
  await world.time.run(Promise.all([...cheap, world.go(process, 'dear', { cost: 30 })]))
  t.ok((world.times('dear')[0] ?? 0) <= 4_000, `30 units at 10 a second, at ${world.times('dear')[0]} ms`)
  t.equal(world.times().at(-1), 8_900, '90 units at 10 a second')
})

t.test('accounts take turns, however many requests one of them has waiting', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 10, seconds: 1, burst: 1 }])
  const many = Array.from({ length: 100 }, () => world.go(process, 'many'))
  const few = Array.from({ length: 5 }, () => world.go(process, 'few'))
  await world.time.run(Promise.all([...many, ...few]))
  t.ok((world.times('few').at(-1) ?? 0) <= 1_100, 'five of the first eleven')
})

t.test('an account that is refused for ten minutes does not slow the others down', async t => {
  const world = new World(t)
  const process = world.process(
    [
      { per: 'app', requests: 10, seconds: 1, burst: 1 },
      { per: 'account', requests: 10, seconds: 1, burst: 1 },
    ],
    { longestWaitMs: 3_600_000 },
  )
  const others = async (): Promise<void> => {
    const permit = await process.pacer.pace('backfill').acquire(ONCE, FOREVER)
    permit.done({ status: 429, outcome: 'throttled', waitMs: 600_000 })
    const refused = Array.from({ length: 20 }, () => world.go(process, 'a', { cost: 3 }))
    await Promise.all(Array.from({ length: 50 }, () => world.go(process, 'b')))
    t.ok(world.time.now() - world.start <= 5_300, `50 requests took ${world.time.now() - world.start} ms`)
    await Promise.all(refused)
  }
  await world.time.run(others())
  t.ok((world.times('a')[0] ?? 0) >= 600_000)
})

t.test('live work overtakes backfills, in this process and in another one', async t => {
  for (const apart of [false, true]) {
    const world = new World(t)
    const limits: Limit[] = [{ per: 'app', requests: 50, seconds: 1 }]
    const backfills = world.process(limits)
    const live = apart ? world.process(limits) : backfills
    const work = async (): Promise<void> => {
      const waiting = Array.from({ length: 500 }, (_, index) => world.go(backfills, `b${index % 7}`))
      await world.time.sleep(1_000)
      await Promise.all(Array.from({ length: 100 }, () => world.go(live, 'live', { priority: 'live' })))
      t.ok(
        world.time.now() - world.start <= 3_500,
        `100 live requests took ${world.time.now() - world.start - 1_000} ms behind 450 others`,
      )
      const meanwhile = world.went.filter(({ client, at }) => client !== 'live' && at > 1_300 && at < 2_900).length
      t.ok(meanwhile <= 2, `${meanwhile} of a backfill went in between`)
      await Promise.all(waiting)
    }
    await world.time.run(work())
  }
})

t.test('processes share a limit, and what one gives back another one gets', async t => {
  const world = new World(t)
  const limits: Limit[] = [{ per: 'app', requests: 1, seconds: 10, burst: 1 }]
  const one = world.process(limits)
  const other = world.process(limits)
  const work = async (): Promise<void> => {
    await world.go(one, 'a')
    const abort = new AbortController()
    const given = world.go(one, 'a', { signal: abort.signal })
    await world.time.sleep(1_000)
    abort.abort(new Error('not wanted any more'))
    await t.rejects(given, { message: 'not wanted any more' })
    await world.go(other, 'b')
  }
  await world.time.run(work())
  t.strictSame(world.times(), [0, 10_000])
})

t.test('a process that dies costs the others its last stretch and no more', async t => {
  const world = new World(t)
  const limits: Limit[] = [{ per: 'app', requests: 100, seconds: 1 }]
  const dying = world.process(limits)
  const living = world.process(limits)
  const work = async (): Promise<void> => {
    const abort = new AbortController()
    const lost = Array.from({ length: 50 }, () => world.go(dying, 'a', { signal: abort.signal }).catch(() => undefined))
    await world.time.sleep(100)
    // It never comes to give anything back.
    await dying.ledger.close()
    dying.ledger.pace = async () => new Promise(() => undefined)
    const before = world.went.length
    await Promise.all(Array.from({ length: 100 }, () => world.go(living, 'b')))
    const took = world.time.now() - world.start - 100
    t.ok(took <= 1_000 + 2 * 200 + 100, `100 requests at 100 a second took ${took} ms`)
    t.ok(world.went.length >= before + 100)
    abort.abort()
    await Promise.all(lost)
  }
  await world.time.run(work())
})

t.test('a ledger that is busy does not stop requests for long', async t => {
  const world = new World(t)
  const limits: Limit[] = [
    { per: 'app', requests: 20, seconds: 1, burst: 1 },
    { per: 'app', requests: 25, seconds: 1, burst: 1 },
    { per: 'account', requests: 30, seconds: 1, burst: 2 },
  ]
  const process = world.process(limits)
  await world.time.run(world.go(process, 'a'))
  const other = new DatabaseSync(world.path)
  other.exec('BEGIN IMMEDIATE')
  const begun = performance.now()
  await world.time.run(Promise.all(Array.from({ length: 20 }, () => world.go(process, 'a'))))
  other.exec('ROLLBACK')
  other.close()
  const took = world.time.now() - world.start
  t.ok(took >= 1_000, 'it does not go faster than it may')
  t.ok(took <= 10_000, `20 requests at 20 a second took ${took} ms`)
  t.ok(performance.now() - begun < 10_000, 'nobody waits for the lock')
  await world.time.run(Promise.all(Array.from({ length: 20 }, () => world.go(process, 'a'))))
  t.ok(world.time.now() - world.start - took <= 1_500, 'afterwards it is as before')
})

t.test('a ledger that cannot be used fails everybody who waits, by name', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 1, seconds: 1 }])
  process.ledger.pace = async () => {
    throw new TransientError('LEDGER_FAILED', { message: 'gone' })
  }
  const { pacer: failing } = world.process([{ per: 'app', requests: 1, seconds: 1 }], { ledger: process.ledger })
  await t.rejects(world.time.run(failing.pace('backfill').acquire(ONCE, FOREVER)), { code: 'LEDGER_FAILED' })
})

t.test('a pause that is longer than a slot is worth parks whoever waits or comes', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'account', requests: 1, seconds: 1 }], { longestWaitMs: 60_000 })
  const work = async (): Promise<void> => {
    const permit = await process.pacer.pace('backfill').acquire(ONCE, FOREVER)
    const waiting = world.go(process, 'a')
    permit.done({ status: 429, outcome: 'throttled', waitMs: 61_000 })
    const parked = { code: 'API_THROTTLED', notBefore: world.start + 61_000 }
    await t.rejects(waiting, parked)
    await t.rejects(world.go(process, 'a'), parked)
    await t.rejects(world.go(world.process([{ per: 'account', requests: 1, seconds: 1 }]), 'a'), parked, 'other processes know')
    await world.go(process, 'b')
  }
  await world.time.run(work())
})

t.test('a wait for the next turn, however long, parks nobody: what was read so far would be read again', async t => {
  const world = new World(t)
  const process = world.process([{ per: 'app', requests: 1, seconds: 300, burst: 1 }], { longestWaitMs: 60_000 })
  await world.time.run(Promise.all([world.go(process, 'a'), world.go(process, 'a')]))
  t.strictSame(world.times(), [0, 300_000])
})

t.test('a limit pauses that the API names, and no other', async t => {
  const world = new World(t)
  const process = world.process([])
  const refuse = async (bucket: 'app' | 'account' | 'endpoint'): Promise<number> => {
    const permit = await process.pacer.pace('backfill').acquire({ client: bucket, endpoint: 'x', cost: 1 }, FOREVER)
    permit.done({ status: 429, outcome: 'throttled', waitMs: 5_000, limits: [{ bucket, remaining: 0 }] })
    const begun = world.time.now()
    await world.go(process, bucket, { endpoint: bucket === 'endpoint' ? 'y' : 'x' })
    return world.time.now() - begun
  }
  t.equal(await world.time.run(refuse('endpoint')), 0, 'another endpoint goes on')
  const account = world.time.run(refuse('account'))
  t.ok((await account) >= 5_000, 'the account waits')
  const before = world.time.now()
  await world.time.run(world.go(process, 'somebody else'))
  t.equal(world.time.now(), before, 'another account goes on')
  await world.time.run(refuse('app'))
  t.ok(world.time.now() - before >= 5_000, 'everybody waits')
})

t.test('what the API says is left is spread from three quarters on, and nothing goes from 95 % on', async t => {
  const world = new World(t)
  const process = world.process([])
  const told = async (usedRatio: number): Promise<number> => {
    const permit: Permit = await process.pacer.pace('backfill').acquire(ONCE, FOREVER)
    permit.done({ status: 200, outcome: 'ok', limits: [{ bucket: 'account', usedRatio }] })
    await world.go(process, 'a')
    const begun = world.time.now()
    await world.go(process, 'a')
    return Math.round(world.time.now() - begun)
  }
  t.equal(await world.time.run(told(0.74)), 0)
  t.equal(await world.time.run(told(0.85)), 500)
  t.equal(await world.time.run(told(0.1)), 0)
  const stopped = world.time.now()
  await world.time.run(told(0.95))
  t.ok(world.time.now() - stopped >= 10_000)
  const counted = async (): Promise<number> => {
    const permit = await process.pacer.pace('backfill').acquire(ONCE, FOREVER)
    permit.done({ status: 200, outcome: 'ok', limits: [{ bucket: 'account', remaining: 10, limit: 100, resetMs: 20_000 }] })
    await world.go(process, 'a')
    const begun = world.time.now()
    await world.go(process, 'a')
    return world.time.now() - begun
  }
  t.equal(await world.time.run(counted()), 2_000, 'ten in twenty seconds')
})

t.test(
  'as many requests of an account go at once as the API takes, fewer when it fails, and more again when it works',
  async t => {
    const world = new World(t)
    const process = world.process([], { concurrency: 4 })
    const { pacer } = process
    const permits = await Promise.all(Array.from({ length: 4 }, () => pacer.pace('backfill').acquire(ONCE, FOREVER)))
    let fifth = false
    const waiting = pacer
      .pace('backfill')
      .acquire(ONCE, FOREVER)
      .then(permit => {
        fifth = true
        return permit
      })
    await pacer.pace('backfill').acquire({ ...ONCE, client: 'b' }, FOREVER)
    t.equal(fifth, false, 'other accounts have limits of their own')
    for (const permit of permits) permit.done({ status: 503, outcome: 'failed' })
    t.equal((await waiting) !== undefined, true)
    t.strictSame(process.concurrency, [4, 3], 'four failures at once are one')
    ;(await waiting).done({ status: 200, outcome: 'ok' })
    await world.time.run(Promise.all(Array.from({ length: 10 }, () => world.go(process, 'a', { takes: 100 }))))
    t.strictSame(process.concurrency, [4, 3, 4])
  },
)

t.test('limits that make no sense stop before anything is asked', async t => {
  const world = new World(t)
  for (const limit of [
    { per: 'app', requests: 0, seconds: 1 },
    { per: 'app', requests: 1, seconds: -1 },
    { per: 'app', requests: 1, seconds: 1, burst: 0 },
    { per: 'app', requests: Number.NaN, seconds: 1 },
  ] as const) {
    const message = `limits of the API vendor: ${JSON.stringify(limit)} needs requests and seconds above 0, and a burst of at least 1`
    t.throws(() => world.process([limit]), { code: 'CONFIG_INVALID', message })
  }
  t.throws(() => world.process([], { concurrency: 0 }), { code: 'CONFIG_INVALID' })
})
