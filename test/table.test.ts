import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t, { type Test } from 'tap'
import { ConfigError } from '../lib/errors.ts'
import {
  bool,
  type Column,
  type Columns,
  date,
  defineTable,
  float64,
  int64,
  json,
  jsonSchema,
  nullable,
  numeric,
  string,
  type Table,
  timestamp,
  warehouseSchema,
} from '../lib/table.ts'

const base = { client_id: string(), date: date() }

/** A table with one more column. */
function tableOf(column: Column, name = 'x'): Table {
  return defineTable('a.b', { ...base, [name]: column }, { partitionBy: 'date' })
}

/** Everything that is wrong with a declaration, as it would come from JavaScript. */
function problems(name: string, columns: Columns, options: Record<string, unknown>): string {
  const declare = defineTable as (name: string, columns: Columns, options: unknown) => Table
  try {
    declare(name, columns, { partitionBy: 'date', ...options })
    return ''
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'TABLE_INVALID') return error.message
    throw error
  }
}

function refused(t: Test, column: Column, problem: string): void {
  t.equal(problems('a.b', { ...base, x: column }, {}), `table a.b: column x: ${problem}`)
}

t.test('a table is its columns in order, its partition, its clustering and its key', async t => {
  const table = defineTable(
    'web.visits',
    { ...base, n: int64() },
    { partitionBy: 'date', key: ['client_id', 'date'], description: 'Visits.' },
  )
  t.same(Object.keys(table.columns), ['client_id', 'date', 'n'])
  t.match(table, {
    name: 'web.visits',
    partitionBy: 'date',
    clusterBy: ['client_id'],
    key: ['client_id', 'date'],
    description: 'Visits.',
  })
  const plain = defineTable('web.visits', base, { partitionBy: 'date' })
  t.same(plain.key, [])
  t.notOk('description' in plain)
})

t.test('a name is dataset.table, and not one of headrace itself', async t => {
  for (const name of ['visits', 'a.b.c', 'a.', '.b', '1a.b', 'a.b-c', 'a."b', '']) {
    t.match(problems(name, base, {}), 'its name must be dataset.table', JSON.stringify(name))
  }
  for (const name of ['headrace.x', 'HEADRACE.x', 'Headrace.slices'])
    t.match(problems(name, base, {}), 'keeps its own tables', name)
  t.equal(problems('headrace2.x', base, {}), '')
})

t.test('a column name is an identifier, and unlike any other also but for its case', async t => {
  for (const name of ['a b', 'a"b', "a'b", 'a\nb', '1a', 'a.b', 'ä', '', '__proto__', `a${'b'.repeat(255)}`]) {
    const columns = Object.defineProperty({ ...base }, name, { value: string(), enumerable: true })
    t.match(problems('a.b', columns, {}), 'is not an identifier', JSON.stringify(name))
  }
  for (const name of ['constructor', 'toString', '_', `a${'b'.repeat(254)}`])
    t.equal(problems('a.b', { ...base, [name]: string() }, {}), '')
  t.match(problems('a.b', { ...base, Date: date() }, {}), 'column Date appears twice but for its case')
})

t.test('what the compiler refuses is refused at run time too', async t => {
  for (const columns of [
    { date: date() },
    { client_id: int64(), date: date() },
    { client_id: nullable(string()), date: date() },
  ]) {
    t.match(problems('a.b', columns as Columns, {}), 'it needs a required STRING column client_id')
  }
  for (const partitionBy of ['client_id', 'ended', 'nowhere', 'constructor', undefined]) {
    const columns = { ...base, ended: nullable(date()) }
    t.match(problems('a.b', columns, { partitionBy }), `partitionBy ${partitionBy} is not a required DATE column`)
  }
  t.match(problems('a.b', base, { clusterBy: ['constructor'] }), 'clusterBy names constructor, which is not a column')
  t.match(problems('a.b', base, { key: ['client_id', 'date', 'n'] }), 'key names n, which is not a column')
})

t.test('a key holds the client and the day, and nothing twice or null', async t => {
  const columns = { ...base, n: nullable(int64()) }
  t.match(problems('a.b', columns, { key: ['date'] }), 'key must contain client_id')
  t.match(problems('a.b', columns, { key: ['client_id'] }), 'key must contain date')
  t.match(problems('a.b', columns, { key: ['client_id', 'date', 'n'] }), 'key column n is nullable')
  t.match(problems('a.b', columns, { key: ['client_id', 'date', 'date'] }), 'key names a column twice')
  t.match(problems('a.b', columns, { clusterBy: ['date', 'date'] }), 'clusterBy names a column twice')
})

t.test('every contradiction is named at once', async t => {
  const message = problems('visits', { client_id: int64() }, { partitionBy: 'day', key: ['x'] })
  t.equal(
    message,
    'table visits: its name must be dataset.table; it needs a required STRING column client_id; partitionBy day is not a required DATE column; ' +
      'key names x, which is not a column; key must contain client_id: it holds within one client and day, not across them; ' +
      'key must contain day: it holds within one client and day, not across them',
  )
})

t.test('a pattern is one with the flag u, as it is used', async t => {
  // Each is valid without the flag.
  for (const pattern of ['\\-', '\\_', '{', '[\\w-a]', '\\p{Foo}', 'a{,5']) {
    t.doesNotThrow(() => new RegExp(pattern), pattern)
    refused(t, string({ pattern }), 'pattern is not a regular expression with the flag u')
  }
  refused(t, string({ pattern: '(' }), 'pattern is not a regular expression with the flag u')
  for (const pattern of ['^\\p{L}+$', '^[\\w\\-]+$', '\\{']) t.doesNotThrow(() => tableOf(string({ pattern })), pattern)
})

t.test('a bound is one that values can be compared with exactly', async t => {
  for (const bound of [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    -1e21,
    1e-7,
    0.1 + 0.2,
    '',
    '1e5',
    ' 5',
    '0.0000000001',
    '1'.repeat(30),
  ]) {
    refused(t, numeric({ minimum: bound }), `bound ${bound} is not an exact decimal; write it as text`)
    refused(t, nullable(int64({ maximum: bound })), `bound ${bound} is not an exact decimal; write it as text`)
  }
  for (const bound of [0, -0, 0.1, 2 ** 53 - 1, '9223372036854775807', '-0.000000001', `${'9'.repeat(29)}.999999999`]) {
    t.doesNotThrow(() => tableOf(numeric({ minimum: bound })), `${bound}`)
  }
  for (const bound of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    refused(t, float64({ minimum: bound }), `bound ${bound} is not an exact decimal; write it as text`)
  }
  for (const bound of [1e-7, 1e21, 0.1 + 0.2, 5e-324]) t.doesNotThrow(() => tableOf(float64({ minimum: bound })), `${bound}`)
})

t.test('constraints that nothing could meet, or that mean nothing, are refused', async t => {
  refused(t, int64({ minimum: 2, maximum: 1 }), 'minimum 2 is above maximum 1')
  refused(t, numeric({ minimum: '0.2', maximum: '0.1' }), 'minimum 0.2 is above maximum 0.1')
  refused(t, string({ enum: [] }), 'enum allows no value at all')
  for (const value of [1.5, 2 ** 53, Number.NaN])
    refused(t, int64({ enum: [value] }), `enum value ${value} is not an exact whole number`)
  for (const maxLength of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    refused(t, string({ maxLength }), `maxLength ${maxLength} is not a length`)
  }
})

t.test('the warehouse sees names, types and modes, in order', async t => {
  const table = defineTable(
    'a.b',
    { ...base, note: nullable(string({ description: 'Free text.', maxLength: 3 })) },
    { partitionBy: 'date' },
  )
  t.same(warehouseSchema(table), [
    { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
    { name: 'date', type: 'DATE', mode: 'REQUIRED' },
    { name: 'note', type: 'STRING', mode: 'NULLABLE', description: 'Free text.' },
  ])
})

t.test('the JSON Schema of a row has every column, and no other', async t => {
  const table = defineTable('a.b', { ...base, n: int64() }, { partitionBy: 'date', description: 'Numbers.' })
  t.same(jsonSchema(table), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'a.b',
    description: 'Numbers.',
    type: 'object',
    properties: {
      client_id: { type: 'string' },
      date: { type: 'string', format: 'date' },
      n: { type: ['integer', 'string'], pattern: '^-?[0-9]{16,19}$' },
    },
    required: ['client_id', 'date', 'n'],
    additionalProperties: false,
  })
})

/** What stands in the JSON Schema of a column. */
function schemaOf(column: Column): unknown {
  return (jsonSchema(tableOf(column)).properties as Record<string, unknown>).x
}

t.test('constraints become the keywords of their type, exact ones for numbers held as text', async t => {
  t.same(schemaOf(int64({ minimum: 0, maximum: '9007199254740993' })), {
    type: ['integer', 'string'],
    pattern: '^-?[0-9]{16,19}$',
    minimum: 0,
    maximum: 9007199254740992,
    decimalMinimum: '0',
    decimalMaximum: '9007199254740993',
  })
  t.same(schemaOf(nullable(numeric({ minimum: 0.5 }))), {
    type: ['string', 'null'],
    pattern: '^-?[0-9]{1,29}(\\.[0-9]{1,9})?$',
    decimalMinimum: '0.5',
  })
  t.same(schemaOf(float64({ minimum: 0, maximum: 1 })), { type: 'number', minimum: 0, maximum: 1 })
  t.same(schemaOf(nullable(string({ enum: ['a'], maxLength: 3, pattern: '^a', description: 'An a.' }))), {
    type: ['string', 'null'],
    enum: ['a', null],
    maxLength: 3,
    pattern: '^a',
    description: 'An a.',
  })
  t.same(schemaOf(nullable(nullable(bool()))), { type: ['boolean', 'null'] })
})

t.test('the JSON Schema of every column is accepted by a strict validator', async t => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictTypes: false })
  formats.default(ajv)
  ajv.addKeyword({ keyword: ['decimalMinimum', 'decimalMaximum'], type: 'string', schemaType: 'string' })
  const columns = {
    ...base,
    enumerated: string({ enum: ['a', 'a'], maxLength: 0, pattern: '^\\p{L}$' }),
    int: int64({ minimum: '-9223372036854775808', maximum: '9223372036854775807', enum: [1] }),
    num: numeric({ minimum: '-0.000000001', maximum: 1 }),
    float: float64({ minimum: -1e-7, maximum: 1e300 }),
    bool: bool(),
    instant: timestamp(),
    json: json(),
    constructor: string(),
  }
  const more = Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [`${name}_or_null`, nullable(column as Column)]),
  )
  const table = defineTable('a.b', { ...columns, ...more }, { partitionBy: 'date' })
  const schema = jsonSchema(table)
  t.ok(ajv.validateSchema(schema), ajv.errorsText(ajv.errors))
  t.doesNotThrow(() => ajv.compile(schema))
  t.same(JSON.parse(JSON.stringify(schema)), schema, 'it is plain data')
})
