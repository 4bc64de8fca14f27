import t from 'tap'
import { Shape } from '../../lib/attempt/shape.ts'
import type { Chunk } from '../../lib/chunk.ts'
import {
  boolean,
  client,
  constant,
  custom,
  day,
  decimal,
  float,
  integer,
  json,
  micros,
  optional,
  text,
  timestamp,
} from '../../lib/mapping.ts'
import type { AnyExpr } from '../../lib/pipeline.ts'
import type { MappedPage, Reject } from '../../lib/row.ts'
import { compileMap } from '../../lib/steps/map.ts'
import type { Column, Table } from '../../lib/table.ts'

const chunk: Chunk = { pipeline: 'p', client: 'acct-1', window: { from: '2026-01-01', to: '2026-01-31' } }

/** Maps records into a table of a client, a day and the columns given; the table is not declared, so that its names may be hostile. */
function mapped(exprs: Readonly<Record<string, AnyExpr>>, records: readonly unknown[]): MappedPage {
  const map: Record<string, AnyExpr> = Object.assign(Object.create(null), { client_id: client(), date: day('date'), ...exprs })
  const columns: Record<string, Column> = Object.create(null)
  for (const [name, expr] of Object.entries(map)) columns[name] = { type: expr.type, nullable: expr.nullable, constraints: {} }
  const table: Table = { name: 'a.b', columns, partitionBy: 'date', clusterBy: [], key: [] }
  return compileMap({ table, map })(records, chunk, new Shape(map).types)
}

/** The one column `x` of the row of one record, or its reject. */
function x(expr: AnyExpr, record: object): unknown {
  const { rows, rejects } = mapped({ x: expr }, [{ date: '2026-01-02', ...record }])
  return rows[0] === undefined ? rejects[0] : rows[0].x
}

t.test('a record becomes a row with every column, in the order of the table', async t => {
  const exprs = {
    a: text('a.b.c'),
    n: integer('n'),
    d: decimal('d'),
    m: micros('m'),
    f: float('f'),
    b: boolean('b'),
    at: timestamp('at'),
    ms: timestamp('ms', 'ms'),
    j: json('j'),
    k: constant('a "k"\n\u2028'),
    own: client('own'),
    c: custom('INT64', (record: { readonly n: number }, { window }) => `${record.n}${window.from.slice(8)}`, 'shows a word'),
    list: text('list.1.id'),
  }
  const record = {
    date: '20260102',
    a: { b: { c: 7 } },
    n: '9007199254740993',
    d: '5.10',
    m: 5_230_000,
    f: -0,
    b: 1,
    at: '2026-01-02T01:00:00+01:00',
    ms: 1,
    j: { q: [1] },
    own: 'acct-1',
    list: [{ id: 'first' }, { id: 'second' }],
  }
  const page = mapped(exprs, [record, { ...record, n: 5 }])
  t.same(page.rejects, [])
  t.same(page.records, [record, { ...record, n: 5 }])
  t.same(Object.keys(page.rows[0] ?? {}), ['client_id', 'date', ...Object.keys(exprs)])
  const row = {
    client_id: 'acct-1',
    date: '2026-01-02',
    a: '7',
    n: '9007199254740993',
    d: '5.1',
    m: '5.23',
    f: 0,
    b: true,
    at: '2026-01-02T00:00:00.000000Z',
    ms: '1970-01-01T00:00:00.001000Z',
    j: '{"q":[1]}',
    k: 'a "k"\n\u2028',
    own: 'acct-1',
    c: '900719925474099301',
    list: 'second',
  }
  t.strictSame(page.rows, [row, { ...row, n: 5, c: 501 }])
  t.ok(Object.is(page.rows[0]?.f, 0), 'minus zero never reaches a row')
})

t.test('minus zero never reaches a row', async t => {
  for (const [expr, zero] of [
    [integer('v'), 0],
    [float('v'), 0],
    [decimal('v'), '0'],
    [micros('v'), '0'],
    [text('v'), '0'],
    [json('v'), '0'],
    [custom('INT64', () => -0, 'shows a word'), 0],
    [custom('FLOAT64', () => '-0.0', 'shows a word'), 0],
    [constant(-0), 0],
  ] as const) {
    t.ok(Object.is(x(expr, { v: -0 }), zero), expr.operation)
  }
})

t.test('an optional expression gives null where its field, or anything on the way to it, is absent or null', async t => {
  const there = [text, integer, decimal, micros, float, boolean, day, timestamp, json]
  for (const word of there) {
    for (const record of [{}, { a: null }, { a: {} }, { a: { b: null } }, { a: { b: undefined } }, { a: 'text' }, { a: 7 }]) {
      t.equal(x(optional(word('a.b')), record), null, `${word.name} ${JSON.stringify(record)}`)
      t.match(x(word('a.b'), record), { rule: 'required', column: 'x' }, `${word.name} ${JSON.stringify(record)}`)
    }
  }
  t.equal(x(optional(timestamp('a', 's')), {}), null)
  t.equal(x(optional(integer('a')), { a: 0 }), 0)
  t.equal(x(optional(text('a')), { a: '' }), '')
  t.equal(x(optional(boolean('a')), { a: false }), false)
  t.match(x(optional(integer('a')), { a: 'x' }), { rule: 'type', value: '"x"' }, 'what is there must still be right')
})

t.test('optional around a client, a constant or a custom expression does what it says', async t => {
  t.equal(x(optional(client('own')), {}), null)
  t.equal(x(optional(client('own')), { own: null }), null)
  t.equal(x(optional(client('own')), { own: 'acct-1' }), 'acct-1')
  t.match(x(optional(client('own')), { own: 'acct-2' }), { rule: 'client', value: '"acct-2"' })
  t.equal(x(optional(client()), {}), 'acct-1')
  t.equal(x(optional(constant('k')), {}), 'k')
  t.equal(x(optional(custom('INT64', () => null, 'shows a word')), {}), null)
  t.equal(x(optional(custom('INT64', () => undefined, 'shows a word')), {}), null)
  t.equal(x(optional(custom('INT64', () => 0, 'shows a word')), {}), 0)
})

t.test('what a custom expression gives is converted like any other value of its type', async t => {
  for (const [expr, value] of [
    [custom('STRING', () => 7, 'w'), '7'],
    [custom('INT64', () => 7n, 'w'), 7],
    [custom('INT64', () => 2n ** 63n - 1n, 'w'), '9223372036854775807'],
    [custom('NUMERIC', () => '5.10', 'w'), '5.1'],
    [custom('FLOAT64', () => '5.10', 'w'), 5.1],
    [custom('BOOL', () => 0, 'w'), false],
    [custom('DATE', () => '20260101', 'w'), '2026-01-01'],
    [custom('TIMESTAMP', () => new Date(0), 'w'), '1970-01-01T00:00:00.000000Z'],
    [custom('JSON', () => [1], 'w'), '[1]'],
  ] as const) {
    t.equal(x(expr, {}), value, expr.type)
  }
  t.match(
    x(
      custom('INT64', () => 'x', 'w'),
      {},
    ),
    { rule: 'type', value: '"x"' },
  )
  t.match(
    x(
      custom('STRING', () => ({ n: 1n }), 'w'),
      {},
    ),
    { rule: 'type', value: '{"n":"1"}' },
  )
  t.match(
    x(
      custom('JSON', () => ({ n: 1n }), 'w'),
      {},
    ),
    { rule: 'type', value: '{"n":"1"}' },
  )
  t.match(
    x(
      custom('TIMESTAMP', () => new Date(Number.NaN), 'w'),
      {},
    ),
    { rule: 'type', value: '"Invalid Date"' },
  )
})

t.test('a custom expression may throw anything, and only its row is refused', async t => {
  for (const [thrown, reason] of [
    [new Error('no such thing'), 'could not be computed: no such thing'],
    ['text', 'could not be computed: "text"'],
    [undefined, 'could not be computed: null'],
    [Object.create(null), 'could not be computed: {}'],
    [Symbol('s'), 'could not be computed: "[object Symbol]"'],
  ] as const) {
    const fn = (): never => {
      throw thrown
    }
    t.match(x(custom('INT64', fn, 'w'), {}), { rule: 'custom', column: 'x', value: null, reason, day: '2026-01-02' })
  }
})

t.test('an error that no custom expression threw is not taken for bad data', async t => {
  const record = {
    date: '2026-01-02',
    get x(): string {
      throw new RangeError('a defect of the connector')
    },
  }
  t.throws(() => mapped({ x: text('x') }, [record]), { message: 'a defect of the connector' })
})

t.test('what is not an object is refused as a record, and the rest of its page goes on', async t => {
  const good = { date: '2026-01-02', x: 'good' }
  const strange = [null, undefined, 'text', 7, true, [], [good], () => good, Symbol('s')]
  const { rows, records, rejects } = mapped({ x: text('x') }, [good, ...strange, good])
  t.same(
    rows.map(row => row.x),
    ['good', 'good'],
  )
  t.same(records, [good, good])
  t.equal(rejects.length, strange.length)
  for (const [index, reject] of rejects.entries()) {
    t.match(reject, { column: null, rule: 'record', reason: 'is not an object', day: null })
    t.equal(reject.record, strange[index])
  }
})

t.test('a reject names column, rule, value, reason and, as far as it can be read, the day', async t => {
  const exprs = { n: integer('n'), own: client('own') }
  const records = [
    { date: '2026-01-02', own: 'acct-1', n: 'many' },
    { date: '20260103', own: 'acct-2', n: 1 },
    { date: 'yesterday', own: 'acct-2', n: 'many' },
    { own: 'acct-2', n: 'many' },
    { date: '2026-02-01', own: 'acct-1' },
  ]
  const rejects: Reject[] = [
    { column: 'n', rule: 'type', value: '"many"', reason: 'is not a whole number', day: '2026-01-02', record: records[0] },
    {
      column: 'own',
      rule: 'client',
      value: '"acct-2"',
      reason: 'is not the client of the chunk, acct-1',
      day: '2026-01-03',
      record: records[1],
    },
    {
      column: 'date',
      rule: 'type',
      value: '"yesterday"',
      reason: 'is not a day (YYYY-MM-DD or YYYYMMDD)',
      day: null,
      record: records[2],
    },
    {
      column: 'date',
      rule: 'required',
      value: 'null',
      reason: 'is absent or null, and the column is required',
      day: null,
      record: records[3],
    },
    {
      column: 'n',
      rule: 'required',
      value: 'null',
      reason: 'is absent or null, and the column is required',
      day: '2026-02-01',
      record: records[4],
    },
  ]
  const page = mapped(exprs, records)
  t.strictSame(page.rejects, rejects)
  t.same([page.rows, page.records], [[], []])
})
