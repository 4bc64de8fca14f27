import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { daysOf, type Window } from '../lib/chunk.ts'
import { defineConnector, definePipeline, type Pipeline, type PipelineOptions, type RunEvent } from '../lib/index.ts'
import type { DriftRecord } from '../lib/ledger/ledger.ts'
import { client, day, integer, optional, text } from '../lib/mapping.ts'
import { date, defineTable, int64, nullable, string } from '../lib/table.ts'
import { openLedger, type RunOptions, rows, run } from './support/run.ts'

type Record = globalThis.Record<string, unknown>

/** What the API says of one client and day. */
type Api = (client: string, day: string) => readonly Record[]

const table = defineTable(
  'shop.orders',
  {
    client_id: string(),
    date: date(),
    id: string(),
    status: string({ enum: ['open', 'paid'] }),
    channel: nullable(string()),
    amount: int64(),
  },
  { partitionBy: 'date', key: ['client_id', 'date', 'id'] },
)

const map = {
  client_id: client(),
  date: day('day'),
  id: text('id'),
  status: text('status'),
  channel: optional(text('source.channel')),
  amount: integer('amount'),
}

const COUNT = 20

/** A day of orders as they used to be, each changed as asked. */
function orders(date: string, change: (order: Record, index: number) => Record = order => order): Record[] {
  return Array.from({ length: COUNT }, (_, index) =>
    change({ day: date, id: `o${index}`, status: 'open', source: { channel: 'web' }, amount: 5 }, index),
  )
}

class World {
  readonly folder: string
  api: Api = (_, date) => orders(date)
  pipeline: Pipeline
  readonly warnings: string[] = []
  registry = new Registry()

  constructor(t: Test, checks: PipelineOptions<Record, typeof table.columns>['checks'] = {}) {
    this.folder = t.testdir()
    this.pipeline = this.declare(checks)
  }

  declare(checks: PipelineOptions<Record, typeof table.columns>['checks']): Pipeline {
    const source = defineConnector<Record>({
      name: 'shop',
      pages: ({ client, window }) => this.#pages(client, window),
    })
    this.pipeline = definePipeline({
      name: 'orders',
      source,
      table,
      map,
      chunk: { days: 2 },
      checks: { rejects: { atMost: 1 }, ...checks },
    })
    return this.pipeline
  }

  async *#pages(client: string, window: Window): AsyncGenerator<readonly Record[]> {
    const all = daysOf(window).flatMap(date => this.api(client, date))
    yield all.slice(0, 7)
    yield all.slice(7)
  }

  /** Reads a day of some clients; gives the exit code and what became of the chunks. */
  async read(from: string, more: Partial<RunOptions> = {}): Promise<string> {
    this.warnings.length = 0
    this.registry = new Registry()
    const observe = (event: RunEvent): void => {
      if (event.type === 'warning' && event.name !== 'ROWS_REJECTED') this.warnings.push(`${event.name} ${event.message}`)
    }
    const { exitCode, progress } = await run({
      folder: this.folder,
      pipeline: this.pipeline,
      from,
      to: from,
      clients: ['a'],
      observe,
      registry: this.registry,
      ...more,
    })
    const states = Object.entries(progress).flatMap(([state, count]) => (count === 0 ? [] : [`${count} ${state}`]))
    return [exitCode, ...states].join(' ')
  }

  async drifts(): Promise<DriftRecord[]> {
    const ledger = openLedger(this.folder)
    const drifts = await ledger.drifts('orders', 100)
    await ledger.close()
    return drifts
  }

  async problem(): Promise<{ code: string | undefined; message: string | undefined; hint: string | null | undefined }> {
    const ledger = openLedger(this.folder)
    const [found] = await ledger.problems('orders', undefined, 1)
    await ledger.close()
    return { code: found?.problem?.code, message: found?.problem?.message, hint: found?.problem?.hint }
  }

  async count(change: string): Promise<number | undefined> {
    const metric = await this.registry.getSingleMetric('headrace_schema_changes_total')?.get()
    return metric?.values.find(({ labels }) => labels.change === change && labels.pipeline === 'orders')?.value
  }

  rows(what: string): Promise<globalThis.Record<string, unknown>[]> {
    return rows(this.folder, `SELECT ${what} FROM shop.orders GROUP BY ALL ORDER BY ALL`)
  }

  rejects(): Promise<globalThis.Record<string, unknown>[]> {
    return rows(
      this.folder,
      'SELECT column_name AS "column", rule, value, count(*)::INTEGER AS n FROM shop.orders_rejects GROUP BY ALL ORDER BY ALL',
    )
  }
}

t.test('an optional field that vanished is null, and told as missing', async t => {
  const world = new World(t)
  t.equal(await world.read('2026-01-01'), '0 1 published')
  world.api = (_, date) => orders(date, ({ source, ...order }) => order)
  t.equal(await world.read('2026-01-02'), '0 1 published')
  t.same(world.warnings, [
    'FIELD_MISSING orders/a/2026-01-02: source.channel is absent in 20 of 20 records, before absent in 0 of 20',
  ])
  t.equal(await world.count('missing'), 1)
  t.same(await world.rows('date::VARCHAR AS date, channel, count(*)::INTEGER AS n'), [
    { date: '2026-01-01', channel: 'web', n: 20 },
    { date: '2026-01-02', channel: null, n: 20 },
  ])
})

t.test('a required field that vanished rejects every row with its name, and the reason is told', async t => {
  const world = new World(t, { rejects: { atMost: 0.01 } })
  await world.read('2026-01-01')
  world.api = (_, date) => orders(date, ({ amount, ...order }) => order)
  t.equal(await world.read('2026-01-02'), '42 1 held')
  t.equal((await world.problem()).code, 'REJECTS_TOO_MANY')
  t.same(await world.rejects(), [{ column: 'amount', rule: 'required', value: 'null', n: 20 }])
  t.match(world.warnings, [/^FIELD_MISSING .*: amount is absent in 20 of 20 records, before absent in 0 of 20$/])
  t.match(await world.drifts(), [{ change: 'missing', path: 'amount' }], 'it is remembered although nothing was published')
})

t.test('an object where a text was never becomes "[object Object]"', async t => {
  const world = new World(t)
  await world.read('2026-01-01')
  world.api = (_, date) =>
    orders(date, (order, index) => ({ ...order, source: { channel: index % 2 === 0 ? { name: 'web' } : ['web'] } }))
  t.equal(await world.read('2026-01-02'), '0 1 published')
  t.same(
    (await world.rejects()).map(({ column, rule, value, n }) => [column, rule, value, n]),
    [
      ['channel', 'type', '["web"]', 10],
      ['channel', 'type', '{"name":"web"}', 10],
    ],
  )
  t.same(world.warnings.slice(0, 1), [
    'FIELD_TYPE_CHANGED orders/a/2026-01-02: source.channel is of type object in 10 of 20 records, before string; ' +
      'source.channel is of type array in 10 of 20 records, before string',
  ])
  t.equal(await world.count('type_changed'), 2)
})

t.test('a number that comes as text is told in one record as in all, although both are read', async t => {
  const world = new World(t)
  await world.read('2026-01-01')
  world.api = (_, date) => orders(date, (order, index) => (index === 13 ? { ...order, amount: '5' } : order))
  t.equal(await world.read('2026-01-02'), '0 1 published')
  t.same(world.warnings, ['FIELD_TYPE_CHANGED orders/a/2026-01-02: amount is of type string in 1 of 20 records, before number'])
  t.same(await world.rows('sum(amount)::INTEGER AS amount'), [{ amount: 200 }])
  t.equal(await world.read('2026-01-03'), '0 1 published')
  t.same(world.warnings, [], 'what was published once is known')
})

t.test('a new field warns and never holds; an undeclared value rejects its rows and is told with the value', async t => {
  const world = new World(t, { drift: 'hold' })
  await world.read('2026-01-01')
  world.api = (_, date) => orders(date, order => ({ ...order, coupon: 'secret' }))
  t.equal(await world.read('2026-01-02'), '0 1 published')
  t.match(world.warnings, [/^FIELD_ADDED .*: coupon is in \d of \d records looked at, never seen; no column reads it$/])
  world.api = (_, date) => orders(date, (order, index) => (index < 3 ? { ...order, status: 'refunded' } : order))
  t.equal(await world.read('2026-01-03'), '42 1 held')
  t.match(await world.problem(), {
    code: 'SCHEMA_DRIFTED',
    message: 'orders/a/2026-01-03: status is "refunded" in 3 of 20 records',
  })
  t.same(await world.rejects(), [{ column: 'status', rule: 'enum', value: '"refunded"', n: 3 }])
  t.equal(await world.count('value_added'), 1)
  t.notMatch(JSON.stringify([await world.drifts(), world.warnings]), 'secret')
})

const CHANGED: Api = (_, date) => orders(date, order => ({ ...order, amount: '5' }))

t.test('held, a chunk waits until a person accepts it with --force; from then on the new shape is known', async t => {
  const world = new World(t, { drift: 'hold' })
  const clients = ['a', 'b', 'c']
  t.equal(await world.read('2026-01-01', { clients }), '0 3 published')
  world.api = CHANGED
  t.equal(await world.read('2026-01-02', { clients }), '42 3 held')
  t.same(
    await world.rows('date::VARCHAR AS date, count(*)::INTEGER AS n'),
    [{ date: '2026-01-01', n: 60 }],
    'nothing was published',
  )
  const { code, message, hint } = await world.problem()
  t.equal(code, 'SCHEMA_DRIFTED')
  t.match(message, /^orders\/[abc]\/2026-01-02: amount is of type string in 20 of 20 records, before number$/)
  t.match(hint, /^Nothing of this chunk was published, what was there stays\. .* --force: then it is known\.$/)
  t.equal(await world.read('2026-01-02', { clients }), '42 3 held', 'it does not go away by itself')

  t.equal(await world.read('2026-01-02', { clients: ['a'], force: true }), '0 1 published')
  t.match(world.warnings, [/^FIELD_TYPE_CHANGED /], 'it is told all the same')
  t.equal(await world.read('2026-01-02', { clients }), '0 2 published 1 unchanged')
  t.same(world.warnings, [])
  t.equal(await world.read('2026-01-03', { clients }), '0 3 published')
})

t.test('a missing field is accepted client by client: others may still send it', async t => {
  const world = new World(t, { drift: 'hold' })
  const clients = ['a', 'b']
  await world.read('2026-01-01', { clients })
  world.api = (_, date) => orders(date, ({ source, ...order }) => order)
  t.equal(await world.read('2026-01-02', { clients, force: true }), '0 2 published')
  t.equal(await world.read('2026-01-03', { clients }), '0 2 published')
  world.api = (_, date) => orders(date)
  t.equal(await world.read('2026-01-04', { clients: ['b'] }), '0 1 published')
  world.api = (_, date) => orders(date, ({ source, ...order }) => order)
  t.equal(await world.read('2026-01-05', { clients: ['a'] }), '0 1 published')
})

t.test('a person may accept a drift by another declaration', async t => {
  const world = new World(t, { drift: 'hold' })
  await world.read('2026-01-01')
  world.api = CHANGED
  t.equal(await world.read('2026-01-02'), '42 1 held')
  world.declare({ drift: 'warn' })
  t.equal(await world.read('2026-01-02'), '0 1 published')
  world.declare({ drift: 'hold' })
  t.equal(await world.read('2026-01-03'), '0 1 published')
})

t.test('told to fail, a chunk is tried again, and passes when the API has recovered', async t => {
  const world = new World(t, { drift: 'fail' })
  await world.read('2026-01-01')
  world.api = CHANGED
  t.equal(await world.read('2026-01-02', { settings: { attempts: 2 } }), '1 1 failed')
  t.match(await world.problem(), {
    code: 'SCHEMA_UNSETTLED',
    message: /amount is of type string in 20 of 20 records, before number/,
  })
  let reads = 0
  world.api = (who, date) => (++reads < 3 ? CHANGED(who, date) : orders(date))
  t.equal(await world.read('2026-01-03', { settings: { attempts: 3 } }), '0 1 published')
  t.equal(reads, 3)
  t.same(await world.rows('date::VARCHAR AS date, count(*)::INTEGER AS n'), [
    { date: '2026-01-01', n: 20 },
    { date: '2026-01-03', n: 20 },
  ])
})

t.test('a chunk that is read again neither repeats its drifts in the ledger nor forgets them', async t => {
  const world = new World(t, { drift: 'hold' })
  await world.read('2026-01-01', { clients: ['a', 'b'] })
  world.api = CHANGED
  await world.read('2026-01-02')
  const [first, ...more] = await world.drifts()
  t.same(more, [])
  t.match(first, {
    change: 'type_changed',
    path: 'amount',
    value: 'string',
    count: 20,
    records: 20,
    before: 'number',
    first: { client: 'a', window: { from: '2026-01-02', to: '2026-01-02' } },
    clients: 1,
  })
  await world.read('2026-01-02')
  await world.read('2026-01-03')
  const [again, ...others] = await world.drifts()
  t.same(others, [])
  t.same(again?.first, first?.first)
  t.equal(again?.clients, 1)
  t.ok((again?.lastAt ?? 0) >= (first?.lastAt ?? Number.POSITIVE_INFINITY))
  await world.read('2026-01-02', { clients: ['b'] })
  await world.read('2026-01-02', { clients: ['a', 'b'], force: true })
  t.match(await world.drifts(), [{ first: { client: 'a' }, clients: 2 }])
  t.equal((await world.drifts()).length, 1)
  await world.read('2026-01-04')
  t.equal((await world.drifts()).length, 1, 'published and known, it is still told')
})

t.test('a chunk that is read twice, because a day became empty, is judged by one reading', async t => {
  const world = new World(t)
  const both = { to: '2026-01-02' }
  t.equal(await world.read('2026-01-01', both), '0 1 published')
  let reads = 0
  world.api = (_, date) => {
    reads++
    return date === '2026-01-01' ? orders(date, order => ({ ...order, amount: '5' })) : []
  }
  t.equal(await world.read('2026-01-01', both), '0 1 published')
  t.equal(reads, 4)
  t.same(
    world.warnings.filter(warning => warning.startsWith('FIELD')),
    ['FIELD_TYPE_CHANGED orders/a/2026-01-01..2026-01-02: amount is of type string in 20 of 20 records, before number'],
  )
})

t.test('an attempt that dies before it is settled has taught nothing', async t => {
  const world = new World(t)
  await world.read('2026-01-01')
  world.api = CHANGED
  const abort = new AbortController()
  const fault = (point: string): void => {
    if (point === 'staged') abort.abort()
  }
  t.match(await world.read('2026-01-02', { abort: abort.signal, stop: abort.signal, fault }), /^130 /)
  t.equal(await world.read('2026-01-02'), '0 1 published')
  t.match(world.warnings, [/^FIELD_TYPE_CHANGED /])
  t.equal((await world.drifts()).length, 1)
})
