import t from 'tap'
import {
  boolean,
  client,
  constant,
  custom,
  day,
  decimal,
  describe,
  float,
  integer,
  json,
  micros,
  optional,
  text,
  timestamp,
} from '../lib/mapping.ts'

t.test('every word of the vocabulary declares its operation, path and column type, and that it is not null', async t => {
  for (const [expr, operation, type] of [
    [text('a.b'), 'text', 'STRING'],
    [integer('a.b'), 'integer', 'INT64'],
    [decimal('a.b'), 'decimal', 'NUMERIC'],
    [micros('a.b'), 'micros', 'NUMERIC'],
    [float('a.b'), 'float', 'FLOAT64'],
    [boolean('a.b'), 'boolean', 'BOOL'],
    [day('a.b'), 'day', 'DATE'],
    [timestamp('a.b'), 'timestamp', 'TIMESTAMP'],
    [json('a.b'), 'json', 'JSON'],
    [client('a.b'), 'client', 'STRING'],
  ] as const) {
    t.strictSame({ ...expr }, { operation, path: 'a.b', type, nullable: false })
  }
  t.strictSame({ ...timestamp('a', 'ms') }, { operation: 'timestamp', path: 'a', type: 'TIMESTAMP', nullable: false, unit: 'ms' })
  t.strictSame({ ...client() }, { operation: 'client', type: 'STRING', nullable: false })
})

t.test('a constant takes the column type of its value', async t => {
  t.strictSame({ ...constant('x') }, { operation: 'constant', value: 'x', type: 'STRING', nullable: false })
  t.strictSame({ ...constant(7) }, { operation: 'constant', value: 7, type: 'INT64', nullable: false })
  t.strictSame({ ...constant(false) }, { operation: 'constant', value: false, type: 'BOOL', nullable: false })
})

t.test('a custom expression keeps its function and its reason', async t => {
  const fn = (record: { readonly n: number }): number => record.n + 1
  t.strictSame(
    { ...custom('INT64', fn, 'counts from 1') },
    { operation: 'custom', type: 'INT64', nullable: false, fn, why: 'counts from 1' },
  )
})

t.test('an optional expression is the same one, allowed to be null, and the original stays required', async t => {
  const required = timestamp('a', 's')
  t.strictSame({ ...optional(required) }, { ...required, nullable: true })
  t.equal(required.nullable, false)
  t.strictSame({ ...optional(optional(text('a'))) }, { ...optional(text('a')) })
})

t.test('an expression is a declaration: it survives being written down', async t => {
  for (const expr of [text('a'), optional(timestamp('a.b', 'us')), constant('x'), client()]) {
    t.strictSame(JSON.parse(JSON.stringify(expr)), { ...expr })
  }
})

t.test('an expression says in words where its column comes from', async t => {
  for (const [expr, words] of [
    [text('a.b'), '`a.b` as text'],
    [integer('a.b'), '`a.b` as integer'],
    [decimal('a.b'), '`a.b` as decimal'],
    [micros('a.b'), '`a.b` / 1,000,000, exact'],
    [float('a.b'), '`a.b` as float'],
    [boolean('a.b'), '`a.b` as boolean'],
    [day('a.b'), '`a.b` as day'],
    [timestamp('a.b'), '`a.b` as an instant'],
    [timestamp('a.b', 'ms'), '`a.b`, ms since 1970, as an instant'],
    [json('a.b'), '`a.b` as json'],
    [client(), 'the client of the chunk'],
    [client('a.b'), '`a.b`, must be the client of the chunk'],
    [constant('x "y"'), 'always "x \\"y\\""'],
    [constant(7), 'always 7'],
    [custom('INT64', () => 1, 'the API counts from 0'), 'custom: the API counts from 0'],
    [optional(text('a.b')), '`a.b` as text'],
    [optional(micros('a.b')), '`a.b` / 1,000,000, exact'],
    [optional(timestamp('a.b', 's')), '`a.b`, s since 1970, as an instant'],
    [optional(client('a.b')), '`a.b`, must be the client of the chunk'],
    [optional(custom('INT64', () => 1, 'the API counts from 0')), 'custom: the API counts from 0'],
    [optional(constant(7)), 'always 7'],
    [optional(client()), 'the client of the chunk'],
  ] as const) {
    t.equal(describe(expr), words)
  }
})
