import { hostname } from 'node:os'
import t from 'tap'
import { ownerOf } from '../../lib/ledger/owner.ts'
import { begin, child, chunksOf, claimOf, fresh, LEASE, PROBLEM, publish, publishAll, request, summaryOf } from './kit.ts'

const GONE = `${hostname()} 999999999 1`

t.test('a run is taken up where it was left, and begins anew once it is finished', async t => {
  const { ledger, clock } = fresh(t)
  const first = await begin(ledger)
  t.match(first, { resumed: false, startedAt: clock.now })
  await publish(ledger, await claimOf(ledger, first))
  clock.now += 1_000
  const second = await begin(ledger)
  t.same(second, { ...first, resumed: true })
  t.match(await ledger.progress(first.id), { published: 1, pending: 2 })
  t.equal(await publishAll(ledger, second), 2)
  t.equal(await ledger.claim(first.id, LEASE), undefined)
  t.equal(await ledger.lastFinished('p'), undefined)
  await ledger.finishRun(first.id)
  t.equal(await ledger.lastFinished('p'), clock.now)
  const third = await begin(ledger)
  t.equal(third.resumed, false)
  t.not(third.id, first.id)
  t.match(await ledger.progress(third.id), { published: 0, pending: 3 })
})

t.test('the same request is the same run, in whatever order it names the clients', async t => {
  const { ledger } = fresh(t)
  const { id } = await begin(ledger, { clients: ['b', 'a', 'c'] })
  t.match(await begin(ledger, { clients: ['c', 'b', 'a'] }), { id, resumed: true })
  for (const other of [
    { clients: ['a', 'b'] },
    { clients: ['a', 'b', 'c'], force: true },
    { clients: ['a', 'b', 'c'], missing: true },
    { clients: ['a', 'b', 'c'], pipeline: 'q' },
    { clients: ['a', 'b', 'c'], window: { from: '2026-01-01', to: '2026-01-02' } },
    { clients: ['a","b', 'c'] },
  ]) {
    t.equal((await begin(ledger, other)).resumed, false, JSON.stringify(other))
  }
})

t.test('taking up a run gives another chance to everything that did not work out, and to nothing else', async t => {
  const { ledger, clock } = fresh(t)
  const clients = ['failed', 'held', 'parked', 'pending', 'published', 'running', 'unchanged']
  const run = await begin(ledger, { clients, window: { from: '2026-01-01', to: '2026-01-01' } })
  for (const client of clients) {
    const claim = await claimOf(ledger, run)
    t.equal(claim.chunk.client, client)
    const notBefore = clock.now + 500_000
    if (client === 'published') await publish(ledger, claim)
    else if (client === 'unchanged') {
      await ledger.staged(claim.attemptId, summaryOf(claim))
      await ledger.unchanged(claim.attemptId, summaryOf(claim))
    } else if (client !== 'running') {
      const state = client as 'failed' | 'held' | 'parked' | 'pending'
      await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: false, notBefore }, summaryOf(claim))
    }
  }
  t.same(await ledger.claim(run.id, LEASE), { waitMs: 500_000 })
  await begin(ledger, { clients, window: { from: '2026-01-01', to: '2026-01-01' } })
  t.match(await ledger.progress(run.id), { pending: 4, published: 1, unchanged: 1, running: 1, held: 0, failed: 0, parked: 0 })
  for (let count = 0; count < 4; count++) t.equal((await claimOf(ledger, run)).attempt, 1, 'tries are counted anew')
})

t.test('chunks are claimed oldest day first, and tries are counted', async t => {
  const { ledger } = fresh(t)
  const run = await begin(ledger, { clients: ['b', 'a'], window: { from: '2026-01-01', to: '2026-01-02' } })
  const order = []
  for (let count = 0; count < 4; count++) order.push(await claimOf(ledger, run))
  t.same(
    order.map(({ chunk, attempt }) => `${chunk.client} ${chunk.window.from} ${attempt}`),
    ['a 2026-01-01 1', 'b 2026-01-01 1', 'a 2026-01-02 1', 'b 2026-01-02 1'],
  )
  t.equal(await ledger.claim(run.id, LEASE), undefined, 'what is left is under way in this process')
  const [first] = order
  if (first === undefined) return
  await ledger.settle(first.attemptId, { state: 'pending', problem: PROBLEM, certain: false }, summaryOf(first))
  t.match(await claimOf(ledger, run), { attempt: 2, chunk: first.chunk })
})

t.test('a chunk that failed is not tried before its time', async t => {
  const { ledger, clock } = fresh(t)
  const run = await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-01' } })
  for (const state of ['pending', 'parked'] as const) {
    const claim = await claimOf(ledger, run)
    await ledger.settle(
      claim.attemptId,
      { state, problem: PROBLEM, certain: false, notBefore: clock.now + 1_000.25 },
      summaryOf(claim),
    )
    t.same(await ledger.claim(run.id, LEASE), state === 'pending' ? { waitMs: 1_001 } : undefined)
    clock.now += 1_001
  }
  t.equal((await claimOf(ledger, run)).attempt, 3)
})

t.test('days of a client that one run works on are kept from every other run', async t => {
  const { ledger, clock } = fresh(t)
  const window = { from: '2026-01-04', to: '2026-01-06' }
  const run = await begin(ledger, { window }, 3)
  const claim = await claimOf(ledger, run)
  for (const [from, to, client, free] of [
    ['2026-01-01', '2026-01-04', 'a', false],
    ['2026-01-06', '2026-01-09', 'a', false],
    ['2026-01-05', '2026-01-05', 'a', false],
    ['2026-01-01', '2026-01-31', 'a', false],
    ['2026-01-01', '2026-01-03', 'a', true],
    ['2026-01-07', '2026-01-09', 'a', true],
    ['2026-01-04', '2026-01-06', 'A', true],
    ['2026-01-04', '2026-01-06', 'a ', true],
  ] as const) {
    const other = await begin(ledger, { window: { from, to }, clients: [client] }, 31)
    const got = await ledger.claim(other.id, LEASE)
    t.equal(got !== undefined && 'chunk' in got, free, `${client} ${from} ${to}`)
    if (!free) t.same(got, { waitMs: 500 })
  }
  const elsewhere = await begin(ledger, { pipeline: 'q', window }, 3)
  await claimOf(ledger, elsewhere)
  await publish(ledger, claim)
  clock.now += 2 * LEASE
  const blocked = await begin(ledger, { window: { from: '2026-01-05', to: '2026-01-05' } })
  await claimOf(ledger, blocked)
})

t.test('a lease of a living process is taken over only after it ran out', async t => {
  const { ledger, path, clock } = fresh(t)
  const living = child(t, 'take', path, 'nothing')
  await living.lines.next()
  const other = fresh(t, { path, clock, owner: ownerOf(living.process.pid) })
  const run = await begin(ledger)
  const taken = await claimOf(other.ledger, run)
  const mine = [await claimOf(ledger, run), await claimOf(ledger, run)]
  t.same(await ledger.claim(run.id, LEASE), { waitMs: 500 })
  t.ok((await ledger.aliveAttempts()).has(taken.attemptId))
  clock.now += LEASE - 1
  t.same(await ledger.claim(run.id, LEASE), { waitMs: 500 })
  t.same(
    await ledger.renew(
      mine.map(({ attemptId }) => attemptId),
      LEASE,
    ),
    [],
  )
  clock.now += 1
  t.same([...(await ledger.aliveAttempts())].sort(), mine.map(({ attemptId }) => attemptId).sort())
  t.match(await claimOf(ledger, run), { chunk: taken.chunk, attempt: 2 })
  t.same(await other.ledger.renew([taken.attemptId], LEASE), [taken.attemptId], 'it learns that it lost its lease')
})

t.test('a lease of a dead process is taken over at once', async t => {
  const { ledger, path, clock } = fresh(t)
  const reused = `${ownerOf().split(' ').slice(0, 2).join(' ')} 1`
  for (const owner of process.platform === 'linux' ? [GONE, reused] : [GONE]) {
    const dead = fresh(t, { path, clock, owner })
    const run = await begin(ledger, { clients: [owner] })
    const taken = await claimOf(dead.ledger, run)
    t.notOk((await ledger.aliveAttempts()).has(taken.attemptId))
    t.match(await claimOf(ledger, run), { chunk: taken.chunk, attempt: 2 }, owner)
  }
})

t.test('a renewed lease lasts', async t => {
  const { ledger, path, clock } = fresh(t)
  const { ledger: other } = fresh(t, { path, clock, owner: 'elsewhere 1 1' })
  const run = await begin(other, { window: { from: '2026-01-01', to: '2026-01-01' } })
  const claim = await claimOf(other, run)
  for (let beat = 0; beat < 5; beat++) {
    clock.now += LEASE / 2
    t.same(await other.renew([claim.attemptId], LEASE), [])
    t.same(await ledger.claim(run.id, LEASE), { waitMs: 500 })
  }
  t.same(await other.renew([], LEASE), [])
  t.same(await other.renew(['unknown'], LEASE), ['unknown'])
})

t.test('generations only grow, also when the clock goes back, and in a ledger that begins anew', async t => {
  const { ledger, clock } = fresh(t)
  const run = await begin(ledger, { window: { from: '2026-01-01', to: '2026-01-09' } })
  const generations = []
  for (const step of [0, 0, 5_000, -60_000, 0, 100_000]) {
    clock.now += step
    generations.push((await claimOf(ledger, run)).generation)
  }
  t.same(
    generations,
    [...new Set(generations)].sort((a, b) => a - b),
  )
  const lost = fresh(t, { clock: { now: clock.now + 1 } })
  const again = await claimOf(lost.ledger, await begin(lost.ledger))
  t.ok(again.generation > Math.max(...generations))
})

t.test('client ids mean nothing to the database', async t => {
  const { ledger } = fresh(t)
  const clients = ["o'brien", '"; DROP TABLE chunk; --', 'a', 'A', 'a ', 'a\nb', '%', '_', 'ä', '', 'x'.repeat(100_000)]
  const wanted = request({ clients, window: { from: '2026-01-01', to: '2026-01-01' } })
  const run = await ledger.beginRun(wanted, chunksOf(wanted))
  t.equal(await publishAll(ledger, run), clients.length)
  t.same(await ledger.clients('p'), [...clients].sort())
  for (const client of clients) t.equal((await ledger.allDays('p', client)).length, 1)
})
