import fc from 'fast-check'
import t from 'tap'
import { ChunkSummary, type ColumnSummary } from '../../lib/attempt/summary.ts'
import type { AnyRow } from '../../lib/row.ts'
import { type Column, date, defineTable, float64, int64, json, nullable, numeric, string, timestamp } from '../../lib/table.ts'

/** What a chunk of one column holds after some values. */
function columnOf(column: Column, values: readonly AnyRow[string][]): ColumnSummary | undefined {
  const table = defineTable('a.b', { client_id: string(), date: date(), x: column }, { partitionBy: 'date' })
  const summary = new ChunkSummary(table, [])
  const rows = values.map(x => ({ client_id: 'a', date: '2026-01-01', x }))
  // In two pages: what was seen must outlive a page.
  summary.add('2026-01-01', rows.slice(0, 1))
  summary.add('2026-01-01', rows.slice(1))
  return summary.columns().x
}

const table = defineTable('a.b', { client_id: string(), date: date(), clicks: int64(), cost: numeric() }, { partitionBy: 'date' })

function row(day: string, clicks: number | string, cost: string): AnyRow {
  return { client_id: 'a', date: day, clicks, cost }
}

t.test('a day has its own rows and exact totals, and a day without rows has zeros', async t => {
  const summary = new ChunkSummary(table, ['clicks', 'cost'])
  summary.add('2026-01-01', [row('2026-01-01', 1, '0.1'), row('2026-01-01', '9223372036854775807', '0.2')])
  summary.add('2026-01-02', [row('2026-01-02', -5, '-0.000000001')])
  summary.add('2026-01-01', [row('2026-01-01', 2, '0.3')])
  const print = '0000000000000000'
  t.same(summary.days(['2026-01-01', '2026-01-02', '2026-01-03']), [
    { day: '2026-01-01', rows: 3, rejected: 0, fingerprint: print, totals: { clicks: '9223372036854775810', cost: '0.6' } },
    { day: '2026-01-02', rows: 1, rejected: 0, fingerprint: print, totals: { clicks: '-5', cost: '-0.000000001' } },
    { day: '2026-01-03', rows: 0, rejected: 0, fingerprint: print, totals: { clicks: '0', cost: '0' } },
  ])
})

t.test('rows that are taken out again leave nothing behind but the ends of ranges', async t => {
  const columns = { clicks: int64(), cost: numeric(), kind: nullable(string({ enum: ['x', 'y'] })), note: nullable(string()) }
  const wide = defineTable('a.b', { client_id: string(), date: date(), ...columns }, { partitionBy: 'date' })
  const summaryOf = (rows: readonly AnyRow[], hashes: readonly number[]): ChunkSummary => {
    const summary = new ChunkSummary(wide, ['clicks', 'cost'])
    for (const [index, row] of rows.entries()) {
      summary.add(String(row.date), [row])
      summary.day(String(row.date)).fingerprint.add(hashes[index] ?? 0, ~(hashes[index] ?? 0))
    }
    return summary
  }
  const drawn = fc.record({
    date: fc.constantFrom('2026-01-01', '2026-01-02'),
    clicks: fc.oneof(fc.integer(), fc.constant('-9223372036854775808')),
    cost: fc.constantFrom('0', '-0.5', '0.000000001', '-12345678901234567890.5', '7'),
    kind: fc.constantFrom('x', 'y', null),
    note: fc.constantFrom('z', null),
    hash: fc.integer(),
    goes: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(drawn), all => {
      const rowOf = ({ hash, goes, ...row }: (typeof all)[number]): AnyRow => ({ client_id: 'a', ...row })
      const summary = summaryOf(
        all.map(rowOf),
        all.map(({ hash }) => hash),
      )
      for (const one of all) {
        // Whole numbers may come back as text.
        if (one.goes) summary.remove(one.date, { ...rowOf(one), clicks: String(one.clicks) }, one.hash, ~one.hash)
      }
      const left = all.filter(({ goes }) => !goes)
      const wanted = summaryOf(
        left.map(rowOf),
        left.map(({ hash }) => hash),
      )
      const days = ['2026-01-01', '2026-01-02']
      t.strictSame(summary.days(days), wanted.days(days))
      const { kind, note } = summary.columns()
      t.strictSame({ kind, note }, { kind: wanted.columns().kind, note: wanted.columns().note })
    }),
    { numRuns: 50 },
  )
  const summary = summaryOf([{ client_id: 'a', date: '2026-01-01', clicks: 5, cost: '1', kind: 'x', note: null }], [1])
  summary.remove('2026-01-01', { client_id: 'a', date: '2026-01-01', clicks: 5, cost: '1', kind: 'x', note: null }, 1, ~1)
  t.match(summary.columns().clicks, { minimum: '5', maximum: '5' }, 'what was seen cannot be unseen')
})

t.test('rejects and fingerprints are kept where they were entered', async t => {
  const summary = new ChunkSummary(table, [])
  const open = summary.day('2026-01-02')
  open.rejected++
  open.fingerprint.add(1, -1)
  t.match(summary.days(['2026-01-01', '2026-01-02']), [
    { rejected: 0, fingerprint: '0000000000000000' },
    { rejected: 1, fingerprint: '00000001ffffffff', rows: 0, totals: {} },
  ])
})

t.test('a number column has a smallest and a largest value, exact beyond 2^53', async t => {
  t.same(columnOf(int64(), [3, -1, 2]), { minimum: '-1', maximum: '3' })
  t.same(columnOf(int64(), ['9007199254740993', '9007199254740992', 9007199254740991]), {
    minimum: '9007199254740991',
    maximum: '9007199254740993',
  })
  t.same(columnOf(int64(), ['-9007199254740992', '-9007199254740993']), {
    minimum: '-9007199254740993',
    maximum: '-9007199254740992',
  })
  t.same(
    columnOf(numeric(), ['12345678901234567890.000000002', '12345678901234567890.000000001', '12345678901234567890.000000003']),
    {
      minimum: '12345678901234567890.000000001',
      maximum: '12345678901234567890.000000003',
    },
  )
  t.same(columnOf(numeric(), ['10', '9', '-0.5']), { minimum: '-0.5', maximum: '10' })
  t.same(columnOf(float64(), [1e21, -1e-7]), { minimum: '-1e-7', maximum: '1e+21' })
})

t.test('days and instants have a first and a last', async t => {
  t.same(columnOf(date(), ['2026-01-02', '2025-12-31', '2026-01-01']), { minimum: '2025-12-31', maximum: '2026-01-02' })
  const early = '2026-01-01T00:00:00.000001Z'
  const late = '2026-01-01T00:00:00.000002Z'
  t.same(columnOf(timestamp(), [late, early]), { minimum: early, maximum: late })
})

t.test('a nullable column counts its nulls and ranges over the rest', async t => {
  t.same(columnOf(nullable(int64()), [null, 3, null]), { nulls: 2, minimum: '3', maximum: '3' })
  t.same(columnOf(nullable(numeric()), [null, null]), { nulls: 2 })
  t.same(columnOf(nullable(date()), ['2026-01-01', null]), { nulls: 1, minimum: '2026-01-01', maximum: '2026-01-01' })
  t.same(columnOf(nullable(string()), ['x', null]), { nulls: 1 })
  t.same(columnOf(nullable(json()), ['null', null]), { nulls: 1 })
  t.same(columnOf(nullable(int64()), []), { nulls: 0 })
})

t.test('a column with declared values counts each of them, and no null among them', async t => {
  t.same(columnOf(string({ enum: ['a', 'b'] }), ['a', 'b', 'a']), { values: { a: 2, b: 1 } })
  t.same(columnOf(nullable(string({ enum: ['a', 'null'] })), [null, 'a', 'null']), { nulls: 1, values: { a: 1, null: 1 } })
  t.same(columnOf(nullable(int64({ enum: [1, 2] })), [null, 2, 2]), { nulls: 1, values: { '2': 2 } })
  const hostile = columnOf(string({ enum: ['__proto__', 'constructor'] }), ['__proto__', 'constructor', '__proto__'])
  t.same(Object.entries(hostile?.values ?? {}), [
    ['__proto__', 2],
    ['constructor', 1],
  ])
})

t.test('nothing is kept of a column that has nothing to tell', async t => {
  t.equal(columnOf(string(), ['x']), undefined)
  t.equal(columnOf(json(), ['{}']), undefined)
})

t.test('the range of any decimals is their exact range', async () => {
  const near = fc.bigInt({ min: -50n, max: 50n }).map(value => 9_007_199_254_740_992_000_000_000n + value)
  const billionths = fc.oneof(near, fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }))
  fc.assert(
    fc.property(fc.array(billionths, { minLength: 1 }), values => {
      const text = (value: bigint): string => {
        const digits = (value < 0n ? -value : value).toString().padStart(10, '0')
        const fraction = digits.slice(-9).replace(/0+$/, '')
        return `${value < 0n ? '-' : ''}${digits.slice(0, -9)}${fraction === '' ? '' : `.${fraction}`}`
      }
      const sorted = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
      const found = columnOf(numeric(), values.map(text))
      return found?.minimum === text(sorted[0] as bigint) && found.maximum === text(sorted.at(-1) as bigint)
    }),
  )
})
