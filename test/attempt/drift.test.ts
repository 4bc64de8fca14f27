import fc from 'fast-check'
import t from 'tap'
import { type Drift, driftsOf, driftsText, driftText, type KnownShape, learn } from '../../lib/attempt/drift.ts'
import { MOST_FIELDS, Shape } from '../../lib/attempt/shape.ts'
import { client, day, json, optional, text } from '../../lib/mapping.ts'
import type { AnyExpr } from '../../lib/pipeline.ts'
import { compileMap } from '../../lib/steps/map.ts'
import { compileValidate } from '../../lib/steps/validate.ts'
import { date, defineTable, json as jsonColumn, nullable, string } from '../../lib/table.ts'

const NOTHING: KnownShape = { fields: undefined, types: new Map(), values: new Map(), presence: new Map() }

const chunk = { pipeline: 'p', client: 'a', window: { from: '2026-01-01', to: '2026-01-31' } }

type Json = Record<string, unknown>

/** A pipeline of some paths, read as JSON, and of a column with declared values; it knows what it has published. */
class Reader {
  known: KnownShape
  readonly #map: Readonly<Record<string, AnyExpr>>
  readonly #table

  constructor(paths: readonly string[], known = NOTHING) {
    const columns = Object.fromEntries(paths.map((_, index) => [`c${index}`, nullable(jsonColumn())]))
    const map = Object.fromEntries(paths.map((path, index) => [`c${index}`, optional(json(path))]))
    this.known = known
    this.#map = { client_id: client(), date: day('date'), kind: optional(text('kind')), ...map }
    this.#table = defineTable(
      'a.b',
      { client_id: string(), date: date(), kind: nullable(string({ enum: ['x', 'y'] })), ...columns },
      { partitionBy: 'date' },
    )
  }

  /** What is different in the records, which are published all the same. */
  read(records: readonly Json[]): Drift[] {
    const shape = new Shape(this.#map)
    const page = records.map(record => ({ date: '2026-01-02', ...record }))
    shape.observe(page)
    const mapped = compileMap({ table: this.#table, map: this.#map })(page, chunk, shape.types)
    shape.refused(compileValidate(this.#table)(mapped, chunk).rejects)
    const drifts = driftsOf(shape, this.known)
    this.known = learn(this.known, { fields: [...shape.fields().counts.keys()], reads: shape.reads(), drifts })
    return drifts
  }
}

/** So many records, each made of its index. */
function times(count: number, record: (index: number) => Json): Json[] {
  return Array.from({ length: count }, (_, index) => record(index))
}

function told(drifts: readonly Drift[]): string[] {
  return drifts.map(drift => `${drift.change} ${driftText(drift)}`)
}

t.test('the first records of a pipeline are no drift, but for values that are not declared', async t => {
  const reader = new Reader(['a'])
  const records = times(20, index => ({ a: index, kind: index === 0 ? 'z' : 'x', unread: 1 }))
  t.same(told(reader.read(records)), ['value_added kind is "z" in 1 of 20 records, not declared'])
  t.same(reader.read(records), [])
})

t.test('a field that was always there and is absent or null everywhere is missing, once', async t => {
  for (const gone of [{}, { a: null }, { a: undefined }]) {
    const reader = new Reader(['a'])
    reader.read(times(40, () => ({ a: 'text' })))
    t.same(told(reader.read(times(30, () => gone))), ['missing a is absent in 30 of 30 records, before absent in 0 of 40'])
    t.same(reader.read(times(30, () => gone)), [])
    t.same(reader.read(times(30, () => ({ a: 'text' }))), [], 'that it is back is no drift')
    t.equal(reader.read(times(30, () => gone)).length, 1, 'gone once more')
  }
})

t.test('what lies above a field may go as well', async t => {
  for (const gone of [{}, { m: null }, { m: 'text' }, { m: [] }, { m: {} }]) {
    const reader = new Reader(['m.n.o'])
    reader.read(times(20, () => ({ m: { n: { o: 1 } } })))
    t.same(
      reader.read(times(20, () => gone)).map(({ change, path }) => `${change} ${path}`),
      ['missing m.n.o'],
    )
  }
})

t.test('a few records prove nothing, many do, whatever the share was before', async t => {
  const missed = (before: readonly [there: number, of: number], now: readonly [there: number, of: number]): boolean => {
    const records = ([there, of]: readonly [number, number]): Json[] => times(of, index => (index < there ? { a: 1 } : {}))
    const reader = new Reader(['a'])
    reader.read(records(before))
    return reader.read(records(now)).length > 0
  }
  t.notOk(missed([1, 1], [0, 1]))
  t.notOk(missed([8, 8], [0, 8]))
  t.ok(missed([9, 9], [0, 9]))
  t.ok(missed([100, 100], [0, 3]))
  t.notOk(missed([1_000, 1_000], [0, 1]))
  t.notOk(missed([5, 100], [0, 50]), 'rare, and not there in few')
  t.ok(missed([50, 1_000], [0, 1_000]), 'rare, and not there in many')
  t.ok(missed([900, 1_000], [300, 1_000]))
  t.notOk(missed([900, 1_000], [500, 1_000]), 'less, but not by more than a half')
  t.notOk(missed([300, 1_000], [900, 1_000]), 'more')
  t.notOk(missed([0, 1_000], [0, 1_000]), 'it never was')
  t.notOk(missed([1_000, 1_000], [0, 0]), 'no records say nothing')
})

t.test('what was published of a client is added up, and old records weigh less and less', async t => {
  const reader = new Reader(['a'])
  for (let turn = 0; turn < 9; turn++) t.same(reader.read([{ a: 1 }]), [])
  t.same(
    reader.read(times(9, () => ({}))).map(({ before }) => before),
    ['absent in 0 of 9'],
  )
  for (let turn = 0; turn < 20; turn++) reader.read(times(2_000, index => (index % 2 === 0 ? { a: 1 } : {})))
  const { records, present } = reader.known.presence.get('a') ?? { records: 0, present: 0 }
  t.ok(records >= 10_000 && records <= 12_000, `${records} records`)
  t.ok(Math.abs(present / records - 0.5) < 0.01)
})

t.test('a type that a field never had is a drift, in one record as in all, once for all clients', async t => {
  const reader = new Reader(['a', 'b'])
  reader.read(times(20, index => ({ a: `${index}`, b: 1 })))
  const mixed = times(20, index => ({ a: index === 7 ? 7 : `${index}`, b: { x: 1 } }))
  t.same(told(reader.read(mixed)), [
    'type_changed a is of type number in 1 of 20 records, before string',
    'type_changed b is of type object in 20 of 20 records, before number',
  ])
  t.same(reader.read(mixed), [])
  const other = new Reader(['a', 'b'], { ...reader.known, presence: new Map() })
  t.same(other.read(mixed), [], 'another client')
})

t.test('a field that had no type yet may have any', async t => {
  const reader = new Reader(['a'])
  reader.read(times(20, () => ({})))
  t.same(reader.read(times(20, () => ({ a: 1 }))), [])
  t.equal(reader.read(times(20, () => ({ a: 'text' }))).length, 1)
})

t.test('a new field is told once, unless a column reads it, or what it is part of, or a part of it', async t => {
  const reader = new Reader(['whole', 'list.0.id', 'deep.er.field'])
  const record = { whole: { a: 1 }, deep: { er: { field: 1 } }, known: { x: 1 } }
  reader.read([record])
  const more = { whole: { a: 1, b: 2 }, list: [{ id: 1, more: 1 }], deep: { er: { field: 1, beside: 1 } } }
  t.same(
    told(
      reader.read([
        { ...more, known: { x: 1, y: 1 }, 'new': [] },
        { ...more, known: null },
      ]),
    ),
    [
      'added deep.er.beside is in 2 of 2 records looked at, never seen; no column reads it',
      'added known.y is in 1 of 2 records looked at, never seen; no column reads it',
      'added new is in 1 of 2 records looked at, never seen; no column reads it',
    ],
  )
  t.same(reader.read([{ ...more, known: { x: 1, y: 1 }, 'new': [] }]), [])
})

t.test('records keyed by data rather than by names are told of to a limit, and then no more', async t => {
  const reader = new Reader([])
  reader.read([{ first: 1 }])
  let drifts = 0
  for (let turn = 0; turn < 10; turn++) {
    drifts += reader.read([Object.fromEntries(Array.from({ length: 400 }, (_, key) => [`k${turn}-${key}`, 1]))]).length
  }
  t.ok(drifts > 0 && drifts <= 2 * MOST_FIELDS, `${drifts} drifts`)
  t.equal(reader.known.fields?.size, MOST_FIELDS)
})

t.test('undeclared values are told once each, cut when they are long, and to a limit', async t => {
  const reader = new Reader([])
  const values = (...kinds: readonly string[]): string[] => reader.read(kinds.map(kind => ({ kind }))).map(({ value }) => value)
  t.same(values('x', 'z', 'z'), ['"z"'])
  t.same(values('z', 'long '.repeat(100)), [`"${'long '.repeat(100)}`.slice(0, 100)])
  let more = 0
  for (let turn = 0; turn < 10; turn++) more += values(...Array.from({ length: 15 }, (_, index) => `${turn} ${index}`)).length
  t.ok(more < 60, `${more} values`)
})

t.test('many drifts are told of by the first ten and by their number', async t => {
  const reader = new Reader([])
  reader.read([{}])
  const drifts = reader.read([Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`n${index}`, 1]))])
  t.match(driftsText(drifts), /^n0 is in .*; n7 is in [^;]*; no column reads it; and 2 more$/)
  t.notMatch(driftsText(drifts.slice(0, 10)), 'more')
})

t.test('a field that bears a name of JavaScript is a field like any other', async t => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const reader = new Reader(names)
  const record = (value: unknown): Json => JSON.parse(`{${names.map(name => `"${name}": ${JSON.stringify(value)}`).join()}}`)
  reader.read(times(20, () => record(1)))
  t.same(reader.read(times(20, () => record(2))), [])
  t.same(
    reader.read(times(20, () => record('text'))).map(({ path }) => path),
    names,
  )
  t.same(
    reader.read(times(20, () => ({}))).map(({ change }) => change),
    names.map(() => 'missing'),
  )
})

/** What happens to a field that is read, from one reading to the next, and the drift that follows. */
const MUTATIONS = {
  none: undefined,
  'now and then absent': undefined,
  gone: 'missing',
  'mostly absent': 'missing',
  'another type': 'type_changed',
  'another type in one record': 'type_changed',
} as const

type Mutation = keyof typeof MUTATIONS

const VALUES = { string: 'text', number: 7, boolean: true, object: { inner: 1 }, array: [1] }
const TYPES = Object.keys(VALUES) as (keyof typeof VALUES)[]

/** The value of a field in one record, or nothing. */
function mutated(field: { readonly type: number; readonly mutation: Mutation }, index: number, count: number): unknown {
  const own = VALUES[TYPES[field.type] ?? 'string']
  const other = VALUES[TYPES[(field.type + 1) % TYPES.length] ?? 'string']
  switch (field.mutation) {
    case 'none':
      return own
    case 'now and then absent':
      return index % 4 === 3 ? undefined : own
    case 'gone':
      return index % 2 === 0 ? undefined : null
    case 'mostly absent':
      return index < count / 5 ? own : null
    case 'another type':
      return other
    case 'another type in one record':
      return index === count - 1 ? other : own
  }
}

/** Puts a value where a path leads. */
function put(record: Json, path: string, value: unknown): void {
  const [name = '', ...rest] = path.split('.')
  if (rest.length === 0) {
    if (value !== undefined) record[name] = value
    return
  }
  const inner = record[name] ?? {}
  record[name] = inner
  put(inner as Json, rest.join('.'), value)
}

const field = fc.record({
  depth: fc.integer({ min: 1, max: 4 }),
  type: fc.integer({ min: 0, max: TYPES.length - 1 }),
  mutation: fc.constantFrom(...(Object.keys(MUTATIONS) as Mutation[])),
})

const unread = fc.record({ depth: fc.integer({ min: 1, max: 4 }), before: fc.boolean(), after: fc.boolean() })

/** Fields lie in the same few objects, `o`, `o.o` and so on, under names of their own. */
function pathOf(depth: number, name: string): string {
  return `${'o.'.repeat(depth - 1)}${name}`
}

t.test('whatever records look like and however they change, every change is told exactly once and none is invented', async t => {
  const counts = fc.integer({ min: 20, max: 60 })
  const values = fc.uniqueArray(fc.constantFrom('x', 'y', 'z', 'w', 'v'), { minLength: 1 })
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), fc.array(unread, { maxLength: 5 }), counts, counts, values, (...drawn) => {
      const [fields, others, before, after, kinds] = drawn
      const paths = fields.map(({ depth }, index) => pathOf(depth, `f${index}`))
      const records = (count: number, changed: boolean): Json[] =>
        times(count, index => {
          const record: Json = { kind: changed ? kinds[index % kinds.length] : 'x' }
          for (const [at, path] of paths.entries()) {
            const { type = 0, mutation = 'none' } = fields[at] ?? {}
            put(record, path, mutated({ type, mutation: changed ? mutation : 'none' }, index, count))
          }
          for (const [at, other] of others.entries()) {
            if (changed ? other.after : other.before) put(record, pathOf(other.depth, `u${at}`), 1)
          }
          return record
        })
      const expected = [
        ...fields.flatMap(({ mutation }, at) =>
          MUTATIONS[mutation] === undefined ? [] : [`${MUTATIONS[mutation]} ${paths[at]}`],
        ),
        ...others.flatMap((other, at) => (other.after && !other.before ? [`added ${pathOf(other.depth, `u${at}`)}`] : [])),
        ...kinds.flatMap(kind => (kind === 'x' || kind === 'y' ? [] : [`value_added kind "${kind}"`])),
      ]
      const name = ({ change, path, value }: Drift): string => `${change} ${path}${change === 'value_added' ? ` ${value}` : ''}`
      const reader = new Reader(paths)
      reader.read(records(before, false))
      const first = reader.read(records(after, true)).map(name)
      const again = reader.read(records(after, true)).map(name)
      return JSON.stringify([first.sort(), again]) === JSON.stringify([expected.sort(), []])
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 100) },
  )
  t.pass('no change was found that is not told, and none that is told twice')
})
