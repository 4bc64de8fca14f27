import fc from 'fast-check'
import t from 'tap'
import { KeyTable } from '../../lib/attempt/fingerprint.ts'
import { ChunkSummary } from '../../lib/attempt/summary.ts'
import { Bytes } from '../../lib/bytes.ts'
import type { AnyRow, EncodedPage, MappedPage } from '../../lib/row.ts'
import { type EncodeTarget, encodePage } from '../../lib/steps/encode.ts'
import { date, defineTable, int64, nullable, string, type Table } from '../../lib/table.ts'
import { compileCsv } from '../../lib/warehouse/duckdb/csv.ts'

const columns = { client_id: string(), date: date(), k: string(), n: nullable(int64()) }
const keyed = defineTable('a.b', columns, { partitionBy: 'date', key: ['client_id', 'date', 'k'] })
const keyless = defineTable('a.b', columns, { partitionBy: 'date' })
const DAYS = ['2026-01-01', '2026-01-02', '2026-01-03']

function target(table: Table, limit = 1_000_000): EncodeTarget {
  const keys = table.key.length === 0 ? undefined : new KeyTable(limit)
  return { table, encodeRow: compileCsv(table), summary: new ChunkSummary(table, []), keys, scratch: new Bytes() }
}

function row(day: string, k: string, n: number | null = 1): AnyRow {
  return { client_id: 'a', date: day, k, n }
}

function page(rows: readonly AnyRow[]): MappedPage {
  return { rows, records: rows.map(of => ({ of })), rejects: [] }
}

/** The lines of a page, by day, cut where it says that its rows end. */
function lines({ segments }: EncodedPage): Record<string, string[]> {
  return Object.fromEntries(
    segments.map(({ day, bytes, ends }) => [
      day,
      Array.from(ends, (end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end).toString()),
    ]),
  )
}

/** The line of a row, written on its own. */
function line(table: Table, one: AnyRow): string {
  const bytes = new Bytes()
  compileCsv(table)(one, bytes)
  return bytes.slice().toString()
}

t.test('a page becomes the lines of its rows, day by day, in the order they came', async t => {
  const rows = [row('2026-01-02', 'x'), row('2026-01-01', 'y', null), row('2026-01-02', 'z')]
  const encoded = encodePage(page(rows), target(keyless))
  t.same(lines(encoded), {
    '2026-01-02': [line(keyless, rows[0] as AnyRow), line(keyless, rows[2] as AnyRow)],
    '2026-01-01': [line(keyless, rows[1] as AnyRow)],
  })
  t.same(encoded.rejects, [])
  t.equal(encoded.deduplicated, 0)
})

t.test('an empty page is nothing, and keeps its rejects', async t => {
  const rejects = [{ column: null, rule: 'record', value: null, reason: 'is not an object', day: null, record: 1 }] as const
  t.same(encodePage({ rows: [], records: [], rejects }, target(keyed)), { segments: [], rejects, deduplicated: 0 })
})

t.test('every row ends where it ends, whatever characters and however many rows there are', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('', '"', 'é'.repeat(500), '😀'.repeat(300), '\ud800'),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...DAYS), text), { maxLength: 350, size: 'max' }), drawn => {
      const rows = drawn.map(([day, k]) => row(day, k))
      const found = lines(encodePage(page(rows), target(keyless)))
      return DAYS.every(day => {
        const expected = rows.filter(({ date }) => date === day).map(one => Buffer.from(line(keyless, one)).toString())
        return JSON.stringify(found[day] ?? []) === JSON.stringify(expected)
      })
    }),
    { numRuns: 60 },
  )
})

t.test('a few rows far longer than those before them still fit', async t => {
  const rows = Array.from({ length: 300 }, (_, index) => row('2026-01-01', index < 100 ? 'x' : '漢'.repeat(1_000)))
  const found = lines(encodePage(page(rows), target(keyless)))
  t.same(
    found['2026-01-01'],
    rows.map(one => line(keyless, one)),
  )
})

t.test('a table whose key is all of its columns keeps every row that is not there yet', async t => {
  const whole = defineTable(
    'a.b',
    { client_id: string(), date: date(), k: string() },
    { partitionBy: 'date', key: ['k', 'date', 'client_id'] },
  )
  const rows = ['x', 'y', 'x'].map(k => ({ client_id: 'a', date: '2026-01-01', k }))
  const encoded = encodePage(page(rows), target(whole))
  t.same(lines(encoded), { '2026-01-01': ['"x",2026-01-01,"a"\n', '"y",2026-01-01,"a"\n'] })
  t.equal(encoded.deduplicated, 1)
})

t.test('the same row again is dropped and counted, another row with its key is rejected', async t => {
  const rows = [
    row('2026-01-01', 'x', 1),
    row('2026-01-01', 'x', 1),
    row('2026-01-01', 'x', 2),
    row('2026-01-02', 'x', 2),
    row('2026-01-01', 'y', 1),
  ]
  const encoded = encodePage(page(rows), target(keyed))
  t.same(lines(encoded), {
    '2026-01-01': [line(keyed, rows[0] as AnyRow), line(keyed, rows[4] as AnyRow)],
    '2026-01-02': [line(keyed, rows[3] as AnyRow)],
  })
  t.equal(encoded.deduplicated, 1)
  t.strictSame(encoded.rejects, [
    {
      column: null,
      rule: 'key',
      value: '{"client_id":"a","date":"2026-01-01","k":"x"}',
      reason: 'another row of the chunk has the same client_id, date, k and other values; the first one read was kept',
      day: '2026-01-01',
      record: { of: rows[2] },
    },
  ])
})

t.test('without a key equal rows are all kept', async t => {
  const rows = [row('2026-01-01', 'x'), row('2026-01-01', 'x')]
  const encoded = encodePage(page(rows), target(keyless))
  t.equal(lines(encoded)['2026-01-01']?.length, 2)
  t.equal(encoded.deduplicated, 0)
})

t.test('a page of nothing but repeated rows has no segment', async t => {
  const to = target(keyed)
  encodePage(page([row('2026-01-01', 'x')]), to)
  const again = encodePage(page([row('2026-01-01', 'x'), row('2026-01-01', 'x')]), to)
  t.same(again, { segments: [], rejects: [], deduplicated: 2 })
})

/** Rows over a few days with few keys and few values, so that keys repeat within and across pages. */
const pages = fc.array(
  fc.array(fc.tuple(fc.constantFrom(...DAYS), fc.constantFrom('', 'x', '"', 'xx', '1'), fc.constantFrom(0, 1, null)), {
    maxLength: 40,
  }),
  { maxLength: 6 },
)

t.test('every row is kept, deduplicated or rejected, and the first one of each key is kept', async () => {
  fc.assert(
    fc.property(pages, drawn => {
      const to = target(keyed)
      const first = new Map<string, AnyRow>()
      let [kept, deduplicated, rejected, same, other] = [0, 0, 0, 0, 0]
      const found: string[] = []
      for (const cells of drawn) {
        const rows = cells.map(([day, k, n]) => row(day, k, n))
        for (const one of rows) {
          const key = `${one.date} ${one.k}`
          const before = first.get(key)
          if (before === undefined) first.set(key, one)
          else if (before.n === one.n) same++
          else other++
        }
        const encoded = encodePage(page(rows), to)
        found.push(...Object.values(lines(encoded)).flat())
        kept += encoded.segments.reduce((sum, { ends }) => sum + ends.length, 0)
        deduplicated += encoded.deduplicated
        rejected += encoded.rejects.length
      }
      const expected = [...first.values()].map(one => line(keyed, one))
      return (
        kept + deduplicated + rejected === drawn.flat().length &&
        kept === first.size &&
        deduplicated === same &&
        rejected === other &&
        JSON.stringify(found.toSorted()) === JSON.stringify(expected.toSorted())
      )
    }),
    { numRuns: 300 },
  )
})

t.test('the summary of a day is that of the rows kept, in whatever pages and order they came', async () => {
  fc.assert(
    fc.property(pages, drawn => {
      const rows = drawn.flat().map(([day, k, n]) => row(day, k, n))
      const unique = [...new Map(rows.map(one => [JSON.stringify(one), one])).values()]
      const one = target(keyless)
      const other = target(keyless)
      for (const cells of drawn) encodePage(page(cells.map(([day, k, n]) => row(day, k, n))), one)
      encodePage(page(rows.toReversed()), other)
      const deduplicating = target(
        defineTable('a.b', { ...columns, n: int64() }, { partitionBy: 'date', key: ['client_id', 'date', 'k', 'n'] }),
      )
      const required = rows.map(cells => ({ ...cells, n: cells.n ?? 9 }))
      encodePage(page(required), deduplicating)
      const days = one.summary.days(DAYS)
      return (
        JSON.stringify(days) === JSON.stringify(other.summary.days(DAYS)) &&
        days.every(({ day, rows: count }) => count === rows.filter(cells => cells.date === day).length) &&
        deduplicating.summary
          .days(DAYS)
          .every(({ day, rows: count }) => count === unique.filter(cells => cells.date === day).length)
      )
    }),
  )
})

t.test('a repeated row leaves no trace in the summary of its day', async t => {
  const once = target(keyed)
  encodePage(page([row('2026-01-01', 'x'), row('2026-01-01', 'y')]), once)
  const again = target(keyed)
  encodePage(page([row('2026-01-01', 'y'), row('2026-01-01', 'x')]), again)
  encodePage(page([row('2026-01-01', 'x'), row('2026-01-01', 'y', 7)]), again)
  t.same(again.summary.days(DAYS), once.summary.days(DAYS))
})

t.test('beyond the limit of keys rows are kept, and the key table says that it overflowed', async t => {
  const to = target(keyed, 1)
  const encoded = encodePage(
    page([row('2026-01-01', 'x'), row('2026-01-01', 'y'), row('2026-01-01', 'y'), row('2026-01-01', 'x')]),
    to,
  )
  t.equal(lines(encoded)['2026-01-01']?.length, 3)
  t.equal(encoded.deduplicated, 1)
  t.ok(to.keys?.overflowed)
})
