import fc from 'fast-check'
import t from 'tap'
import { Shape } from '../../lib/attempt/shape.ts'
import type { Chunk } from '../../lib/chunk.ts'
import { client, day, json, optional, text } from '../../lib/mapping.ts'
import type { AnyExpr } from '../../lib/pipeline.ts'
import type { MappedPage } from '../../lib/row.ts'
import { valueText } from '../../lib/row.ts'
import { compileMap } from '../../lib/steps/map.ts'
import type { Column, Table } from '../../lib/table.ts'

/** Names that would end a string, a line or a template, or that mean something to JavaScript. */
const HOSTILE = [
  '"',
  "'",
  '`',
  '\\',
  '\\"',
  '"] = (globalThis["injected"] = true); r["',
  '"}; globalThis["injected"] = true; //',
  '$'.concat('{globalThis["injected"] = true}'),
  '*/ globalThis["injected"] = true /*',
  '\n globalThis["injected"] = true \n',
  '\r\u2028\u2029\u0000',
  '\ud800',
  'constructor',
  'toString',
  'hasOwnProperty',
  'r',
  'c0',
  'client',
  'convert',
  'Refusal',
  '😀',
]

const chunk: Chunk = { pipeline: 'p', client: 'acct-1', window: { from: '2026-01-01', to: '2026-01-31' } }

/** Maps one record into a table with one column more, whose name nobody has checked. */
function mapped(column: string, expr: AnyExpr, record: Record<string, unknown>): MappedPage {
  const map: Record<string, AnyExpr> = { client_id: client(), date: day('date'), [column]: expr }
  const columns: Record<string, Column> = Object.fromEntries(
    Object.entries(map).map(([name, { type, nullable }]) => [name, { type, nullable, constraints: {} }]),
  )
  const table: Table = { name: 'a.b', columns, partitionBy: 'date', clusterBy: [], key: [] }
  return compileMap({ table, map })([{ date: '2026-01-02', ...record }], chunk, new Shape(map).types)
}

function injected(): boolean {
  return 'injected' in globalThis
}

t.test('a hostile column name is a name and nothing else', async t => {
  for (const [number, name] of HOSTILE.entries()) {
    const { rows } = mapped(name, text('x'), { x: 'value' })
    t.strictSame(Object.entries(rows[0] ?? {}).at(-1), [name, 'value'], `name ${number}`)
    const { rejects } = mapped(name, text('x'), {})
    t.equal(rejects[0]?.column, name, `name ${number}`)
  }
  t.notOk(injected())
})

t.test('a hostile path is a path and nothing else', async t => {
  for (const [number, name] of HOSTILE.entries()) {
    const own = Object.fromEntries([[name, 'value']])
    t.equal(mapped('x', text(name), own).rows[0]?.x, 'value', `name ${number}`)
    t.equal(mapped('x', text(`a.${name}`), { a: own }).rows[0]?.x, 'value', `name ${number}`)
    t.equal(mapped('x', text(`${name}.a`), Object.fromEntries([[name, { a: 'value' }]])).rows[0]?.x, 'value', `name ${number}`)
  }
  t.notOk(injected())
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary', minLength: 1 }), (first, second) => {
      fc.pre(![first, second].some(name => name.includes('.')) && first !== 'date')
      const record = Object.fromEntries([[first, Object.fromEntries([[second, 'value']])]])
      return mapped('x', text(`${first}.${second}`), record).rows[0]?.x === 'value'
    }),
  )
})

t.test('what every object inherits is not a field of a record', async t => {
  for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
    for (const path of [name, `a.${name}`, `${name}.name`, `a.${name}.length`]) {
      t.equal(mapped('x', optional(text(path)), { a: {} }).rows[0]?.x, null, path)
      t.equal(mapped('x', optional(json(path)), { a: {} }).rows[0]?.x, null, path)
      t.equal(mapped('x', text(path), { a: {} }).rejects[0]?.rule, 'required', path)
    }
  }
  const parsed = JSON.parse('{"__proto__": {"x": "its own"}, "date": "2026-01-02"}')
  const table: Table = {
    name: 'a.b',
    columns: {
      date: { type: 'DATE', nullable: false, constraints: {} },
      x: { type: 'STRING', nullable: false, constraints: {} },
    },
    partitionBy: 'date',
    clusterBy: [],
    key: [],
  }
  const map = { date: day('date'), x: text('__proto__.x') }
  const page = compileMap({ table, map })([parsed], chunk, new Shape(map).types)
  t.same(page.rows, [{ date: '2026-01-02', x: 'its own' }])
})

t.test('a value is kept as JSON text, whatever it is, and cut when it is long', async t => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  let deep: unknown = 'bottom'
  for (let level = 0; level < 100_000; level++) deep = [deep]
  for (const [value, kept] of [
    [undefined, null],
    [null, 'null'],
    ['a "b"', '"a \\"b\\""'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '-Infinity'],
    [12n, '12'],
    [{ a: 12n, b: [1n] }, '{"a":"12","b":["1"]}'],
    [circle, '"[object Object]"'],
    [deep, '"[object Array]"'],
    [Symbol('s'), '"[object Symbol]"'],
    [() => 1, '"[object Function]"'],
    [
      {
        toJSON: () => {
          throw new Error('no')
        },
      },
      '"[object Object]"',
    ],
    ['\ud800', '"\\\\ud800"'],
    ['\\\ud800\udfff\udc00', '"\\\\𐏿\\\\udc00"'],
    [{ '\udc00': '\\ud800' }, '{"\\\\udc00":"\\\\ud800"}'],
  ] as const) {
    t.equal(valueText(value), kept)
  }
  t.equal(valueText('x'.repeat(2_000)), `"${'x'.repeat(999)}…`)
  t.equal(valueText('x'.repeat(998)), `"${'x'.repeat(998)}"`)
})
