import assert from 'node:assert/strict'
import { step } from '../postgres/step.ts'
import { CHUNKS, type Fleet } from './fleet.ts'
import { expected, PIPELINES } from './source.ts'

/** Every chunk is published once, as the ledger counts it. */
export async function published(fleet: Fleet): Promise<void> {
  const [row] = await fleet.query(
    'SELECT count(*) AS published, count(DISTINCT (pipeline, client, window_from)) AS chunks FROM headrace.attempt ' +
      "WHERE outcome IN ('published', 'unchanged')",
  )
  assert.deepEqual(row, { published: String(CHUNKS), chunks: String(CHUNKS) })
  const [all] = await fleet.query('SELECT count(*) AS attempts FROM headrace.attempt')
  const { requests } = await fleet.seen()
  step('every chunk published once', { chunks: CHUNKS, attempts: Number(all?.attempts), requests })
}

/** The tables equal the API. */
export async function table(fleet: Fleet): Promise<void> {
  let rows = 0
  for (const name of PIPELINES) {
    const found = await fleet.rows(`SELECT client_id, date::VARCHAR AS day, item, clicks FROM shop.${name} ORDER BY ALL`)
    assert.deepEqual(found, expected(name))
    rows += found.length
  }
  step('the tables equal the API', { rows })
}

/** Nothing of what a daemon read when it was stopped was published by it. */
export async function zombie(fleet: Fleet, name: string, held: readonly string[]): Promise<void> {
  const outcomes = await fleet.query('SELECT outcome FROM headrace.attempt WHERE attempt_id = ANY($1)', held)
  assert.equal(outcomes.length, held.length)
  for (const { outcome } of outcomes) assert.ok(outcome !== 'published' && outcome !== 'unchanged', String(outcome))
  const ids = held.map(id => `'${id}'`).join(', ')
  assert.deepEqual(await fleet.rows(`SELECT * FROM headrace.slices WHERE attempt_id IN (${ids})`), [])
  const lines = await fleet.log(name)
  const refused = lines.filter(({ err }) => typeof err === 'object' && err !== null && 'code' in err && err.code === 'LEASE_LOST')
  const attempts = new Set(refused.map(({ attempt }) => attempt))
  for (const id of held) assert.ok(attempts.has(id), `${name} was told that attempt ${id} is not its own any more`)
  step('the late writes of the one that slept are refused', { read: held.length, refused: attempts.size })
}

/** No account was ever asked more at once than is allowed. */
export async function slots(fleet: Fleet): Promise<void> {
  const { fullest, busiest } = await fleet.seen()
  assert.equal(fullest, 1, 'requests of one account at once')
  assert.ok(busiest > 4, `${busiest}: more than one daemon reads at once`)
  step('requests at once', { ofOneAccount: fullest, ofAll: busiest })
}

/** No chunk of the second pipeline was read before the first had published its day. */
export async function order(fleet: Fleet): Promise<void> {
  const [first, second] = PIPELINES
  const days = await fleet.query('SELECT client, day, published_at FROM headrace.day WHERE pipeline = $1', first)
  const publishedAt = new Map(days.map(({ client, day, published_at }) => [`${client} ${day}`, Number(published_at)]))
  const read = (await fleet.seen()).asked.filter(({ list }) => list === second)
  const waits = read.map(({ client, day, at }) => at - (publishedAt.get(`${client} ${day}`) ?? Number.POSITIVE_INFINITY))
  assert.ok(waits.length >= CHUNKS / 2)
  const least = Math.min(...waits)
  assert.ok(least >= 0, `read ${-least} ms before what it waits for was published`)
  step('read after what it waits for was published', { reads: waits.length, leastMilliseconds: least })
}

/** Commit groups hold chunks that several daemons have staged. */
export async function together(fleet: Fleet): Promise<void> {
  const stagedBy = new Map<unknown, string>()
  for (const name of fleet.daemons.keys()) {
    for (const { event, attempt } of await fleet.log(name)) if (event === 'chunk.published') stagedBy.set(attempt, name)
  }
  const attempts = await fleet.query(
    "SELECT attempt_id, group_id FROM headrace.attempt WHERE outcome IN ('published', 'unchanged')",
  )
  const groups = Map.groupBy(attempts, ({ group_id }) => group_id)
  const mixed = [...groups.values()].filter(
    members => new Set(members.flatMap(({ attempt_id }) => stagedBy.get(attempt_id) ?? [])).size > 1,
  )
  assert.ok(mixed.length > 0, 'groups form across daemons')
  step('commit groups', { chunks: attempts.length, transactions: groups.size, ofSeveralDaemons: mixed.length })
  const byWorker = Object.fromEntries([...Map.groupBy(stagedBy.values(), name => name)].map(([name, all]) => [name, all.length]))
  step('in all', { seconds: Math.round((performance.now() - fleet.begunAt) / 1_000), publishedBy: byWorker })
}
