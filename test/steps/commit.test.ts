import t from 'tap'
import { DataError, type HeadraceError, TransientError } from '../../lib/errors.ts'
import type { CommitOptions, Committed } from '../../lib/steps/commit.ts'
import type { Table } from '../../lib/table.ts'
import { GroupRefused, type Member, type Publication, type Warehouse } from '../../lib/warehouse/warehouse.ts'
import { committing } from '../support/committer.ts'
import { ad, ads, adsRows, prepared, stage, TOTALS } from '../warehouse/kit.ts'

/** A commit that the test decides the end of. */
interface Commit {
  readonly table: string
  readonly clients: string[]
  succeed(): void
  fail(error: unknown): void
}

/**
 * A warehouse whose commits end when and how the test says: the real one can neither be held in the middle of a transaction nor be made to
 * fail in every way. What it publishes is tested with the real one, here and in test/warehouse.
 */
class HeldWarehouse {
  readonly commits: Commit[] = []
  #changed = Promise.withResolvers<void>()

  /** The commit with this number, counted from 0, as soon as it has begun. */
  async begun(number: number): Promise<Commit> {
    for (;;) {
      const commit = this.commits[number]
      if (commit !== undefined) return commit
      await this.#changed.promise
    }
  }

  readonly warehouse: Warehouse = {
    name: 'held',
    datasetName: async ({ name }) => ({ namespace: 'held', name }),
    encoder: () => () => 0,
    prepare: async () => true,
    widen: async () => [],
    charge: async () => ({ kind: 'none' }),
    stage: async () => Promise.reject(new Error('nothing is staged here')),
    recount: async () => [],
    clients: async () => [],
    rejects: async () => [],
    discard: async () => {},
    sweep: async () => 0,
    commit: (table: Table, _totals: readonly string[], members: readonly Member[]) =>
      new Promise<Publication[]>((resolve, reject) => {
        this.commits.push({
          table: table.name,
          clients: members.map(({ chunk }) => chunk.client),
          succeed: () => resolve(members.map(publicationOf)),
          fail: reject,
        })
        this.#changed.resolve()
        this.#changed = Promise.withResolvers()
      }),
  }
}

function publicationOf({ attemptId }: Member): Publication {
  return { attemptId, outcome: 'published', deleted: 0, inserted: 0, present: [], changes: [] }
}

function memberOf(client: string, rows = 1): Member {
  const window = { from: '2026-01-01', to: '2026-01-01' }
  return {
    chunk: { pipeline: 'p', client, window },
    attemptId: `attempt ${client}`,
    receipt: '',
    generation: 1,
    intent: 'publish',
    days: [{ day: window.from, rows, rejected: 0, fingerprint: '', totals: {} }],
    restated: [],
    checkKey: false,
  }
}

/** A committer over a held warehouse, and what it said. */
function held(options: Partial<CommitOptions<Committed>> = {}) {
  const warehouse = new HeldWarehouse()
  const outcomes: string[] = []
  const publishing = committing(warehouse.warehouse, {
    groupChunks: 10,
    groupRows: 1_000,
    onCommitted: ({ members, seconds, outcome }) =>
      void outcomes.push(`${members} ${outcome}${seconds >= 0 ? '' : ' too early'}`),
    ...options,
  })
  const publish = (client: string, rows?: number, table: Table = ads): Promise<string> =>
    publishing(table, [], memberOf(client, rows)).then(
      ({ groupId }) => groupId,
      (error: HeadraceError) => error.code,
    )
  return { warehouse, outcomes, publish }
}

/** Lets commits succeed as they begin, and returns the groups they were of. */
async function groups(warehouse: HeldWarehouse, count: number): Promise<string[]> {
  for (let number = 0; number < count; number++) (await warehouse.begun(number)).succeed()
  return warehouse.commits.map(({ clients }) => clients.join(' '))
}

t.test('the first member goes at once, and those that arrive meanwhile go together', async t => {
  const { warehouse, publish, outcomes } = held()
  const first = publish('a')
  await warehouse.begun(0)
  const others = ['b', 'c', 'd'].map(client => publish(client))
  t.equal(warehouse.commits.length, 1, 'one transaction per table at a time')
  t.same(await groups(warehouse, 2), ['a', 'b c d'])
  const [b, c, d] = await Promise.all(others)
  t.ok(b === c && c === d, 'one group has one id')
  t.not(await first, b)
  t.same(outcomes, ['1 published', '3 published'])
})

t.test('while others are about to be staged, a group waits for them', async t => {
  const company = Promise.withResolvers<void>()
  const { warehouse, publish } = held({ gather: () => company.promise })
  const first = publish('a')
  const second = publish('b')
  t.equal(warehouse.commits.length, 0)
  company.resolve()
  t.same(await groups(warehouse, 1), ['a b'])
  t.equal(await first, await second)
})

t.test('tables are published in parallel', async t => {
  const { warehouse, publish } = held()
  const published = [publish('a'), publish('b', 1, { ...ads, name: 'ads.other' })]
  const [one, two] = [await warehouse.begun(0), await warehouse.begun(1)]
  t.same([one.table, two.table], ['ads.daily', 'ads.other'])
  two.succeed()
  await published[1]
  one.succeed()
  await published[0]
})

t.test('a group has so many members at most', async t => {
  const { warehouse, publish } = held({ groupChunks: 2 })
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map(client => publish(client))
  t.same(await groups(warehouse, 3), ['a b', 'c d', 'e f'])
  await Promise.all(all)
})

t.test('a group has so many rows at most, and a member that has more goes alone', async t => {
  const { warehouse, publish } = held({ groupRows: 100 })
  const all = [publish('a'), publish('b', 60), publish('c', 40), publish('d', 1), publish('e', 5_000), publish('f', 3)]
  t.same(await groups(warehouse, 4), ['a b', 'c d', 'e', 'f'])
  await Promise.all(all)
})

t.test(
  'a member that is refused gets its own error, and the others go again without it, before those that came later',
  async t => {
    const { warehouse, publish, outcomes } = held()
    const all = ['a', 'b', 'c', 'd'].map(client => publish(client))
    const group = await warehouse.begun(0)
    const late = publish('e')
    group.fail(new GroupRefused(new Map([['attempt c', new TransientError('FENCED', { message: 'older' })]])))
    ;(await warehouse.begun(1)).succeed()
    t.equal(await all[2], 'FENCED')
    t.same(
      warehouse.commits.map(({ clients }) => clients.join(' ')),
      ['a b c d', 'a b d e'],
    )
    const [b, d, e] = await Promise.all([all[1], all[3], late])
    t.ok(b === d && d === e)
    t.same(outcomes, ['4 refused', '4 published'])
  },
)

/** A warehouse that ends every commit by itself, as the test says; returns the groups it saw, those it refused in brackets. */
function judging(options: Partial<CommitOptions<Committed>>, refusal: (clients: readonly string[]) => DataError | undefined) {
  const { warehouse, publish, outcomes } = held(options)
  const seen: string[] = []
  warehouse.warehouse.commit = async (_table, _totals, members) => {
    const clients = members.map(({ chunk }) => chunk.client)
    const error = refusal(clients)
    seen.push(error === undefined ? clients.join(' ') : `(${clients.join(' ')})`)
    if (error !== undefined) throw error
    return members.map(publicationOf)
  }
  return { publish, outcomes, seen }
}

/** Sizes of groups, those of refused ones negative. */
function sizes(seen: readonly string[]): number[] {
  return seen.map(group => group.split(' ').length * (group.startsWith('(') ? -1 : 1))
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `c${index}`)
}

t.test('when the warehouse cannot say whose fault it is, halves are tried, and nobody joins them', async t => {
  const unreadable = new DataError('STAGED_UNREADABLE', { message: 'some line' })
  const { publish, seen, outcomes } = judging({}, clients => (clients.includes('d') ? unreadable : undefined))
  const late: Promise<string>[] = []
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(client => publish(client))
  void all[0]?.then(() => late.push(publish('z')))
  t.same(await Promise.all([all[3]]), ['STAGED_UNREADABLE'])
  await Promise.all([...all, ...late])
  t.same(seen, ['(a b c d e f g)', '(a b c d)', 'a b', '(c d)', 'c', '(d)', 'e f g', 'z'])
  t.same(sizes(seen), [-7, -4, 2, -2, 1, -1, 3, 1])
  t.same([outcomes[0], outcomes[5]], ['7 refused', '1 failed'])
})

/** A warehouse that takes so many members at once. */
function narrow(most: number, options: Partial<CommitOptions<Committed>> = { groupChunks: 50 }) {
  const ceiling = new DataError('WAREHOUSE_CEILING', { message: 'too much' })
  return judging(options, clients => (clients.length > most ? ceiling : undefined))
}

t.test('a group above the ceiling is published by halves, and the next ones begin with what fitted', async t => {
  const { publish, seen } = narrow(25)
  await Promise.all(names(101).map(client => publish(client)))
  t.same(sizes(seen), [-50, 25, 25, 25, 25, 1])
})

t.test('after some full groups a larger one is tried, up to what is allowed', async t => {
  const { publish, seen } = narrow(10, { groupChunks: 16 })
  await Promise.all(names(113).map(client => publish(client)))
  t.same(sizes(seen), [-16, 8, 8, 8, 8, 10, 10, 10, 10, -13, 7, 6, 7, 7, 7, 7])
  const wide = narrow(8, { groupChunks: 8 })
  await Promise.all(names(81).map(client => wide.publish(client)))
  t.same(sizes(wide.seen), [...Array<number>(10).fill(8), 1], 'it never becomes larger than it may')
})

t.test('a member that is too much by itself is refused alone, and does not keep the groups small', async t => {
  const ceiling = new DataError('WAREHOUSE_CEILING', { message: 'too much' })
  const { publish, seen } = judging({ groupChunks: 16 }, clients => (clients.includes('c1') ? ceiling : undefined))
  const ends = await Promise.all(names(33).map(client => publish(client)))
  t.equal(ends[1], 'WAREHOUSE_CEILING')
  t.same(sizes(seen), [-16, -8, -4, -2, 1, -1, 2, 4, 8, 8, 8, 1])
})

t.test('each table has a size of its own', async t => {
  const { publish, seen } = narrow(4, { groupChunks: 8 })
  await Promise.all(names(9).map(client => publish(client)))
  await Promise.all(names(3).map(client => publish(client, 1, { ...ads, name: 'ads.other' })))
  t.same(sizes(seen), [-8, 4, 4, 1, 3])
})

t.test('when the warehouse fails, the whole group fails, and the next one is tried', async t => {
  const { warehouse, publish, outcomes } = held()
  const all = [publish('a')]
  const first = await warehouse.begun(0)
  all.push(publish('b'), publish('c'))
  first.fail(new TransientError('WAREHOUSE_BUSY', { message: 'held' }))
  ;(await warehouse.begun(1)).fail(new Error('never foreseen'))
  t.same(await Promise.all(all), ['WAREHOUSE_BUSY', 'INTERNAL', 'INTERNAL'])
  const next = publish('d')
  ;(await warehouse.begun(2)).succeed()
  await next
  t.same(outcomes, ['1 failed', '2 failed', '1 published'])
})

t.test('a group is announced right before it is committed, and a member that may not go stays out', async t => {
  const announced: string[] = []
  const { warehouse, publish } = held({
    onCommitting: async members => {
      const clients = members.map(({ chunk }) => chunk.client)
      announced.push(clients.join(' '))
      if (clients.includes('b') || clients.includes('x')) throw new TransientError('LEASE_LOST', { message: 'taken over' })
    },
  })
  const all = [publish('a')]
  const first = await warehouse.begun(0)
  all.push(publish('b'), publish('c'))
  t.same(announced, ['a'], 'those that wait are not announced yet')
  first.succeed()
  ;(await warehouse.begun(1)).succeed()
  t.equal(await all[1], 'LEASE_LOST')
  await Promise.all(all)
  t.equal(await publish('x'), 'LEASE_LOST', 'a group of nobody is not committed')
  t.same(
    warehouse.commits.map(({ clients }) => clients.join(' ')),
    ['a', 'c'],
  )
  t.same(announced, ['a', 'b c', 'b', 'c', 'x'], 'all at once, and where that fails, each by itself')
})

t.test('a member that goes again is announced again', async t => {
  const announced: string[] = []
  const { warehouse, publish } = held({
    onCommitting: async members => void announced.push(...members.map(({ chunk }) => chunk.client)),
  })
  const all = [publish('a')]
  const first = await warehouse.begun(0)
  all.push(publish('b'), publish('c'))
  first.succeed()
  ;(await warehouse.begun(1)).fail(new GroupRefused(new Map([['attempt b', new TransientError('FENCED', { message: '' })]])))
  ;(await warehouse.begun(2)).succeed()
  await Promise.all(all)
  t.same(announced, ['a', 'b', 'c', 'c'])
})

t.test('a warehouse that forgets a member, or refuses somebody else, is found out', async t => {
  const { warehouse, publish } = held()
  warehouse.warehouse.commit = async () => []
  t.equal(await publish('a'), undefined)
  warehouse.warehouse.commit = async () => Promise.reject(new GroupRefused(new Map()))
  t.equal(await publish('b'), 'INTERNAL')
})

t.test('in a real warehouse groups form by themselves, and those at fault keep nobody back', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const sizes: number[] = []
  const publish = committing(warehouse, { groupChunks: 7, onCommitted: ({ members }) => void sizes.push(members) })
  const clients = Array.from({ length: 40 }, (_, index) => `c${10 + index}`)
  const results = await Promise.allSettled(
    clients.map(async (client, index) => {
      const rows = [ad(client, '2026-01-01', 'x')]
      const member = await stage(warehouse, ads, { client, from: '2026-01-01', rows })
      const days = index % 10 === 3 ? member.days.map(day => ({ ...day, rows: 9 })) : member.days
      return publish(ads, TOTALS, { ...member, days })
    }),
  )
  const atFault = results.flatMap(({ status }, index) => (status === 'rejected' ? [clients[index]] : []))
  t.same(atFault, ['c13', 'c23', 'c33', 'c43'])
  t.equal((await adsRows(path)).length, 36)
  t.ok(sizes.length < 40 && sizes.every(size => size <= 7))
})
