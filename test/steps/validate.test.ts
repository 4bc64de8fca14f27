import fc from 'fast-check'
import t from 'tap'
import type { Chunk } from '../../lib/chunk.ts'
import type { AnyRow, MappedPage, Reject } from '../../lib/row.ts'
import { compileValidate } from '../../lib/steps/validate.ts'
import {
  bool,
  type Column,
  date,
  defineTable,
  float64,
  int64,
  json,
  nullable,
  numeric,
  string,
  timestamp,
} from '../../lib/table.ts'

const chunk: Chunk = { pipeline: 'p', client: 'acct-1', window: { from: '2026-01-02', to: '2026-01-04' } }
const base = { client_id: 'acct-1', date: '2026-01-03' }

function validated(column: Column, rows: readonly AnyRow[]): MappedPage {
  const table = defineTable('a.b', { client_id: string(), date: date(), x: column }, { partitionBy: 'date' })
  return compileValidate(table)({ rows, records: rows.map(row => ({ of: row })), rejects: [] }, chunk)
}

/** The rule that a value of a column breaks, or `ok`. */
function rule(column: Column, x: unknown): string {
  const { rows, rejects } = validated(column, [{ ...base, x } as AnyRow])
  return rejects[0]?.rule ?? (rows.length === 1 ? 'ok' : 'lost')
}

t.test('each rule refuses what breaks it, with the column, the value and a clause', async t => {
  const cases: readonly (readonly [Column, AnyRow[string], Partial<Reject>])[] = [
    [int64({ minimum: 0 }), -1, { rule: 'minimum', value: '-1', reason: 'is below the minimum 0' }],
    [int64({ maximum: 9 }), 10, { rule: 'maximum', value: '10', reason: 'is above the maximum 9' }],
    [numeric({ minimum: '0.5' }), '0.499999999', { rule: 'minimum', value: '"0.499999999"', reason: 'is below the minimum 0.5' }],
    [numeric({ maximum: 1 }), '1.000000001', { rule: 'maximum', value: '"1.000000001"', reason: 'is above the maximum 1' }],
    [float64({ minimum: 0 }), -1e-300, { rule: 'minimum', value: '-1e-300', reason: 'is below the minimum 0' }],
    [float64({ maximum: 1 }), 1.0000000000000002, { rule: 'maximum', reason: 'is above the maximum 1' }],
    [string({ enum: ['a', 'b'] }), 'c', { rule: 'enum', value: '"c"', reason: 'is none of ["a","b"]' }],
    [int64({ enum: [1, 2] }), 3, { rule: 'enum', value: '3', reason: 'is none of [1,2]' }],
    [nullable(string({ enum: ['a'] })), 'c', { rule: 'enum', reason: 'is none of ["a",null]' }],
    [string({ maxLength: 2 }), 'abc', { rule: 'maxLength', value: '"abc"', reason: 'is longer than 2 characters' }],
    [string({ pattern: '^\\p{Lu}+$' }), 'Ab', { rule: 'pattern', value: '"Ab"', reason: 'does not match ^\\p{Lu}+$' }],
    [string(), null, { rule: 'type', value: 'null', reason: 'must be string' }],
    [int64(), 1.5, { rule: 'type', value: '1.5' }],
    [bool(), 'true', { rule: 'type', reason: 'must be boolean' }],
    [timestamp(), 'now', { rule: 'type' }],
    [numeric(), '1e5', { rule: 'pattern' }],
    [int64(), '12', { rule: 'pattern' }],
  ]
  for (const [column, x, expected] of cases) {
    const row = { ...base, x }
    const { rows, records, rejects } = validated(column, [row])
    t.match(rejects, [{ column: 'x', day: '2026-01-03', record: { of: row }, ...expected }], `${column.type} ${x}`)
    t.same([rejects.length, rows, records], [1, [], []])
  }
})

t.test('a column that is missing or not declared is refused', async t => {
  t.match(validated(string(), [base]).rejects, [{ column: null, rule: 'required', reason: "must have required property 'x'" }])
  t.match(validated(string(), [{ ...base, x: 'a', y: 'b' }]).rejects, [{ column: null, rule: 'schema' }])
})

t.test('the ends of a window are inside, the days beside them are not', async t => {
  const rows = ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', '2026-01-05'].map(day => ({ ...base, date: day, x: 'a' }))
  const page = validated(string(), rows)
  t.same(
    page.rows.map(row => row.date),
    ['2026-01-02', '2026-01-03', '2026-01-04'],
  )
  const outside = { column: 'date', rule: 'window', reason: 'is outside the window 2026-01-02..2026-01-04', day: null }
  t.match(page.rejects, [
    { ...outside, value: '2026-01-01', record: { of: rows[0] } },
    { ...outside, value: '2026-01-05', record: { of: rows[4] } },
  ])
})

t.test('a row of another client is refused, although it is right otherwise', async t => {
  for (const other of ['acct-2', '', 'ACCT-1', ' acct-1']) {
    t.match(validated(string(), [{ ...base, client_id: other, x: 'a' }]).rejects, [
      {
        column: 'client_id',
        rule: 'client',
        value: JSON.stringify(other),
        reason: 'is not the client of the chunk, acct-1',
        day: '2026-01-03',
      },
    ])
  }
})

t.test('a row is rejected once, by the first rule it breaks', async t => {
  const row = { client_id: 'acct-2', date: '2026-02-01', x: 'toolong' }
  t.match(validated(string({ maxLength: 1, enum: ['a'] }), [row]).rejects, [{ rule: 'window' }])
  t.equal(validated(string({ maxLength: 1, enum: ['a'] }), [{ ...base, x: 'toolong' }]).rejects.length, 1)
})

t.test('bad rows leave a page, the others stay with their records and in order, and earlier rejects stay in front', async () => {
  const table = defineTable('a.b', { client_id: string(), date: date(), x: int64({ minimum: 0 }) }, { partitionBy: 'date' })
  const validate = compileValidate(table)
  const earlier: Reject = { column: null, rule: 'record', value: null, reason: 'is not an object', day: null, record: null }
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -3, max: 3 })), values => {
      const rows = values.map(x => ({ ...base, x }))
      const page = validate({ rows, records: values, rejects: [earlier] }, chunk)
      const good = values.filter(x => x >= 0)
      const bad = values.filter(x => x < 0)
      return (
        JSON.stringify(page.rows.map(row => row.x)) === JSON.stringify(good) &&
        JSON.stringify(page.records) === JSON.stringify(good) &&
        JSON.stringify(page.rejects.map(({ record }) => record)) === JSON.stringify([null, ...bad])
      )
    }),
  )
})

t.test('a page without a bad row is passed on as it is', async t => {
  const table = defineTable('a.b', { client_id: string(), date: date() }, { partitionBy: 'date' })
  const page: MappedPage = { rows: [base], records: [{}], rejects: [] }
  t.equal(compileValidate(table)(page, chunk), page)
})

t.test('decimals are held to their bounds exactly, also beyond 15 digits', async t => {
  const bounds = numeric({ minimum: '-12345678901234567890.000000001', maximum: '12345678901234567890.000000001' })
  t.equal(rule(bounds, '12345678901234567890.000000001'), 'ok')
  t.equal(rule(bounds, '12345678901234567890.000000002'), 'maximum')
  t.equal(rule(bounds, '-12345678901234567890.000000001'), 'ok')
  t.equal(rule(bounds, '-12345678901234567890.000000002'), 'minimum')
  t.equal(rule(bounds, '0'), 'ok')
  t.equal(rule(numeric({ minimum: 0 }), '0'), 'ok')
  t.equal(rule(numeric({ minimum: 0 }), '-0.000000001'), 'minimum')
  t.equal(rule(numeric({ minimum: 10 }), '9'), 'minimum', 'compared as numbers, not as text')
  t.equal(rule(numeric({ maximum: '1.50' }), '1.5'), 'ok', 'a bound need not be canonical')
})

t.test('whole numbers are held to their bounds exactly, below and beyond 2^53', async t => {
  const bounds = int64({ minimum: '-9007199254740993', maximum: '9007199254740993' })
  for (const x of ['9007199254740992', '9007199254740993', '-9007199254740993', 9007199254740991, 0])
    t.equal(rule(bounds, x), 'ok', `${x}`)
  t.equal(rule(bounds, '9007199254740994'), 'maximum')
  t.equal(rule(bounds, '-9007199254740994'), 'minimum')
  const small = int64({ minimum: 0, maximum: 100 })
  t.equal(rule(small, '9223372036854775807'), 'maximum')
  t.equal(rule(small, '-9223372036854775808'), 'minimum')
  t.equal(rule(int64({ minimum: '9223372036854775807' }), 9007199254740991), 'minimum')
  t.equal(rule(int64({ minimum: '9223372036854775807' }), '9223372036854775807'), 'ok')
  t.equal(rule(int64({ minimum: 0.5 }), 0), 'minimum')
})

t.test('null satisfies every constraint of a nullable column', async t => {
  for (const column of [
    string({ enum: ['a'], maxLength: 0, pattern: '^a$' }),
    int64({ minimum: 5, enum: [7] }),
    numeric({ minimum: 5 }),
    float64({ maximum: -1 }),
    bool(),
    date(),
    timestamp(),
    json(),
  ]) {
    t.equal(rule(nullable(column), null), 'ok', column.type)
    t.not(rule(column, null), 'ok', column.type)
  }
  t.equal(rule(nullable(int64({ enum: [7] })), 7), 'ok')
  t.equal(rule(nullable(int64({ enum: [7] })), 8), 'enum')
  t.equal(rule(nullable(numeric({ minimum: 5 })), '4'), 'minimum')
})

t.test('length is counted in characters, and a pattern knows whole ones', async t => {
  t.equal(rule(string({ maxLength: 2 }), '😀😀'), 'ok')
  t.equal(rule(string({ maxLength: 1 }), '😀😀'), 'maxLength')
  t.equal(rule(string({ maxLength: 0 }), ''), 'ok')
  t.equal(rule(string({ pattern: '^.$' }), '😀'), 'ok')
})

t.test('a column may be named like something every object has', async t => {
  const table = defineTable(
    'a.b',
    { client_id: string(), date: date(), constructor: string({ maxLength: 1 }) },
    { partitionBy: 'date' },
  )
  const validate = compileValidate(table)
  const check = (more: AnyRow): readonly Reject[] =>
    validate({ rows: [{ ...base, ...more }], records: [{}], rejects: [] }, chunk).rejects
  t.same(check({ constructor: 'a' } as AnyRow), [])
  t.match(check({ constructor: 'ab' } as unknown as AnyRow), [{ column: 'constructor', rule: 'maxLength' }])
})
