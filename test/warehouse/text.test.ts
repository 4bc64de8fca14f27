import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { date, defineTable, int64, json, nullable, string } from '../../lib/table.ts'
import { DAY, prepared, publish, query, rowsOf, tableOf } from './kit.ts'

const hex = (text: string): string => Buffer.from(text).toString('hex').toUpperCase()
const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

const HOSTILE = [
  '',
  ' ',
  ',',
  '"',
  '""',
  '"""',
  "'",
  "'; DROP TABLE ads.values; --",
  '\\',
  '\\"',
  '\\N',
  'NULL',
  'null',
  '\n',
  '\r',
  '\r\n',
  '\n\r',
  'a\nb',
  '"\n"',
  '",\n"a","b"',
  '\0',
  'a\0b',
  '\t',
  '\u001a',
  '\ufeff',
  '\ufeffa',
  'a\ufeff',
  '\u2028\u2029',
  '\u0085',
  'ä€😀𝄞',
  'e\u0301',
  '\u{10ffff}',
  '\uffff',
  '#comment',
  '0',
  ' 1 ',
]

t.test('every text comes back byte for byte, and the empty text is not null', async t => {
  const table = tableOf(nullable(string()))
  const { warehouse, path } = await prepared(t, table)
  await publish(warehouse, table, rowsOf([...HOSTILE, null]))
  const rows = await query(path, 'SELECT hex(encode(value)) AS value FROM ads.values')
  t.same(rows.map(({ value }) => value).sort(), [...HOSTILE.map(hex), null].sort())
  for (const first of ['\ufeff', '', '\n', null]) {
    await publish(warehouse, table, rowsOf([first]))
    const [row] = await query(path, 'SELECT hex(encode(value)) AS value FROM ads.values')
    t.equal(row?.value, first === null ? null : hex(first), `alone in its file: ${JSON.stringify(first)}`)
  }
})

t.test('any text comes back byte for byte, also where it is part of the key', async t => {
  const table = defineTable(
    'ads.values',
    { client_id: string(), date: date(), name: string(), value: nullable(string()) },
    { partitionBy: 'date', key: ['client_id', 'date', 'name'] },
  )
  const { warehouse, path } = await prepared(t, table)
  const unit = fc.oneof(
    fc.constantFrom('"', ',', '\n', '\r', '\\', '\0', '\ufeff'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  )
  const texts = fc.string({ unit })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(texts, fc.option(texts)), { minLength: 1, maxLength: 100 }), async pairs => {
      const rows = pairs.map(([name, value], index) => ({ client_id: 'a', date: DAY, name: `${index} ${name}`, value }))
      await publish(warehouse, table, rows)
      const found = await query(path, 'SELECT hex(encode(name)) AS name, hex(encode(value)) AS value FROM ads.values')
      t.same(
        found.map(({ name, value }) => `${name} ${value}`).sort(),
        rows.map(({ name, value }) => `${hex(name)} ${value === null ? null : hex(value)}`).sort(),
      )
    }),
    { numRuns: 15 },
  )
})

t.test('thousands of rows full of line ends are the same rows, over many buffers', async t => {
  const table = defineTable(
    'ads.values',
    { client_id: string(), date: date(), name: int64(), value: string() },
    { partitionBy: 'date', key: ['client_id', 'date', 'name'] },
  )
  const { warehouse, path } = await prepared(t, table)
  const pieces = ['\n', '\r\n', '"', '",', ',"', '\r', '""\n', 'text', '😀']
  const text = (index: number): string =>
    Array.from({ length: index % 97 }, (_, at) => pieces[(index * 7 + at * 3) % pieces.length]).join('')
  const rows = Array.from({ length: 30_000 }, (_, index) => ({ client_id: 'a', date: DAY, name: index, value: text(index) }))
  await publish(warehouse, table, rows)
  const found = await query(path, 'SELECT name, md5(value) AS value FROM ads.values ORDER BY name')
  t.equal(found.length, rows.length)
  t.ok(found.every(({ value }, index) => value === md5(text(index))))
})

t.test('a text may be millions of characters long', async t => {
  const table = tableOf(string())
  const { warehouse, path } = await prepared(t, table)
  const texts = ['x'.repeat(3_000_000), '"\n'.repeat(1_000_000), '😀'.repeat(800_000), 'short']
  await publish(warehouse, table, rowsOf(texts))
  const found = await query(path, 'SELECT md5(value) AS value FROM ads.values')
  t.same(found.map(({ value }) => value).sort(), texts.map(md5).sort())
})

t.test('JSON keeps its text: depth, digits, order, escapes', async t => {
  const table = tableOf(nullable(json()))
  const { warehouse, path } = await prepared(t, table)
  const values = [
    `${'['.repeat(3_000)}${']'.repeat(3_000)}`,
    '123456789012345678901234567890.12345678901234567890',
    '{"b":1e400,"a":[true,null,{}]}',
    '"\\u0000\\n\\"\\ud83d\\ude00"',
    'null',
    '""',
  ]
  await publish(warehouse, table, rowsOf([...values, null]))
  const found = await query(path, 'SELECT hex(encode(value::VARCHAR)) AS value FROM ads.values')
  t.same(found.map(({ value }) => value).sort(), [...values.map(hex), null].sort())
})
