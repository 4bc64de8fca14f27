import t from 'tap'
import { readPaths, Shape } from '../../lib/attempt/shape.ts'
import { client, custom, day, integer, optional, text } from '../../lib/mapping.ts'
import type { Reject } from '../../lib/row.ts'
import { compileMap } from '../../lib/steps/map.ts'
import type { Table } from '../../lib/table.ts'

const chunk = { pipeline: 'p', client: 'a', window: { from: '2026-01-01', to: '2026-01-31' } }

/** The fields that were seen, by path, and in how many records. */
function fieldsOf(shape: Shape): Record<string, number> {
  return Object.fromEntries(shape.fields().counts)
}

t.test('the fields of records are their leaves, by path, without entering arrays', async t => {
  const shape = new Shape({})
  shape.observe([{ b: 1, a: { x: null, y: { z: [{ q: 1 }] } }, empty: {} }])
  shape.observe([{ b: 2, 'with.dot': 1 }])
  shape.observe([])
  for (const page of [[null], ['text'], [7], [[1]], [undefined]]) shape.observe(page)
  t.same(fieldsOf(shape), { 'a.x': 1, 'a.y.z': 1, b: 2, 'with.dot': 1 })
  t.equal(shape.fields().looked, 2)
})

t.test('the first, the middle and the last record of a page are looked at, each once', async t => {
  const shape = new Shape({})
  shape.observe([{ a: 1 }, { b: 1 }, { c: 1 }, { d: 1 }, { e: 1 }])
  t.same(fieldsOf(shape), { a: 1, c: 1, e: 1 })
  shape.observe([{ a: 1 }])
  shape.observe([{ a: 1 }, { b: 1 }])
  t.same([fieldsOf(shape), shape.fields().looked], [{ a: 3, b: 1, c: 1, e: 1 }, 6])
})

t.test('fields are remembered to a limit in number and in depth', async t => {
  const wide = new Shape({})
  wide.observe([Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`f${index}`, index]))])
  wide.observe([{ later: { x: 1 }, f0: 1 }])
  t.equal(wide.fields().counts.size, 500)
  t.equal(wide.fields().counts.get('f0'), 2, 'what is known is still counted')
  const deep = new Shape({})
  let record: Record<string, unknown> = {}
  for (let level = 0; level < 50_000; level++) record = { a: record }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  deep.observe([record])
  deep.observe([circle])
  t.same([...deep.fields().counts.keys()], ['a.a.a.a.a.a', 'self.self.self.self.self.self'])
})

const map = {
  client_id: client(),
  date: day('day'),
  n: integer('m.n'),
  again: optional(text('m.n')),
  kind: optional(text('kind')),
  made: custom('STRING', () => 'x', 'shows a word'),
}
const columns = Object.fromEntries(
  Object.entries(map).map(([name, { type, nullable }]) => [name, { type, nullable, constraints: {} }]),
)
const table: Table = { name: 'a.b', columns, partitionBy: 'date', clusterBy: [], key: [] }

t.test('the paths of a mapping are those that a column reads, each once', async t => {
  t.same(readPaths(map), ['day', 'm.n', 'kind'])
})

t.test('a field that is read is counted by type in every record, also where another column refuses the record', async t => {
  const shape = new Shape(map)
  const records = [
    { day: '2026-01-02', m: { n: 1 }, kind: 'x' },
    { day: 'never', m: { n: '2' }, kind: ['x'] },
    { m: { n: 2n }, kind: { x: 1 } },
    { day: null, m: 'text', kind: true },
    { day: undefined, m: { n: [] }, kind: Symbol('s') },
  ]
  const { rows, rejects } = compileMap({ table, map })([...records, 'not an object'], chunk, shape.types)
  t.same([rows.length, rejects.length], [1, 5])
  t.same(shape.reads(), [
    { path: 'day', types: { absent: 3, string: 2 } },
    { path: 'm.n', types: { absent: 1, string: 1, number: 2, array: 1 } },
    { path: 'kind', types: { string: 1, boolean: 1, object: 2, array: 1 } },
  ])
})

t.test('undeclared values are counted by the path they came from, each to a limit', async t => {
  const shape = new Shape(map)
  const reject: Reject = { column: 'kind', rule: 'enum', value: '"y"', reason: 'is none of …', day: null, record: {} }
  shape.refused([reject, { ...reject, value: '"z"' }, { ...reject, rule: 'type' }, { ...reject, column: null }])
  shape.refused([reject, { ...reject, column: 'made' }, { ...reject, value: null }])
  const found = (): unknown => [...shape.values()].map(([path, values]) => [path, Object.fromEntries(values)])
  t.same(found(), [
    ['kind', { '"y"': 2, '"z"': 1 }],
    ['made', { '"y"': 1 }],
  ])
  for (let value = 0; value < 100; value++) shape.refused([{ ...reject, value: String(value) }])
  t.equal(shape.values().get('kind')?.size, 20)
})
