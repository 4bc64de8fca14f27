import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { siftRows } from '../../lib/steps/sift.ts'
import { stageBatch } from '../../lib/steps/stage.ts'
import { bool, type Column, date, defineTable, float64, int64, json, numeric, string, timestamp } from '../../lib/table.ts'
import { openDraft } from '../../lib/testing/stage.ts'
import { copyLines, findRefused, linesOf, MOST_REFUSED } from '../../lib/warehouse/sift.ts'
import { ad, ads, adsRows, calling, DAY, execute, prepared, query, reject, stage, TOTALS } from './kit.ts'

const NEVER = new AbortController().signal

/** Lines in memory, of which some are refused, or some pairs together; counts how often parts were tried, and those that are left. */
class Lines {
  tries = 0
  open = 0
  readonly #lines: readonly string[]
  readonly #refuses: (lines: readonly string[]) => boolean

  constructor(count: number, refuses: (lines: readonly string[]) => boolean) {
    this.#lines = Array.from({ length: count }, (_, index) => `${index}\n`)
    this.#refuses = refuses
  }

  find(known: boolean, signal = NEVER) {
    return findRefused(
      {
        name: 'Memory',
        lines: this.#lines.length,
        atOnce: 4,
        ...(known ? { why: { message: 'known' } } : {}),
        read: () => this.#read(),
        open: async () => {
          const written: string[] = []
          this.open++
          return {
            write: async (bytes, lines) => {
              const text = Buffer.from(bytes).toString().split('\n').slice(0, -1)
              t.equal(text.length, lines)
              written.push(...text)
            },
            refusal: async () => {
              this.tries++
              return this.#refuses(written) ? { message: `one of ${written.length}` } : undefined
            },
            remove: async () => void this.open--,
          }
        },
      },
      signal,
    )
  }

  async *#read() {
    for (const line of this.#lines) yield Buffer.from(line)
  }
}

t.test('the lines that are refused are found, each refused by itself, with few tries', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3_000 }),
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: MOST_REFUSED }),
      fc.boolean(),
      async (count, places, known) => {
        const bad = new Set(places.map(place => Math.floor(place * count)))
        const lines = new Lines(count, part => part.some(line => bad.has(Number(line))))
        const found = await lines.find(known)
        const wanted = [...bad].sort((a, b) => a - b)
        t.strictSame(
          found.map(({ index, line }) => [index, line.toString()]),
          wanted.map(index => [index, `${index}\n`]),
        )
        t.ok(found.every(({ refusal: { message } }) => message === 'one of 1' || (known && count === 1)))
        t.ok(lines.tries <= 1 + 4 * bad.size * Math.ceil(Math.log(count) / Math.log(4) + 1), `${lines.tries} tries`)
        t.equal(lines.open, 0, 'nothing is left of the search')
      },
    ),
    { numRuns: 40 },
  )
})

t.test('when most lines are refused, that is told after few tries', async t => {
  const lines = new Lines(100_000, part => part.length > 0)
  await t.rejects(lines.find(true), {
    code: 'STAGED_UNREADABLE',
    message: /^Memory refuses more than 10 of 100000 rows, the first of them among rows 1 to \d+: one of \d+$/,
  })
  t.equal(lines.tries, 20)
  t.equal(lines.open, 0)
})

t.test('no line is blamed for what it is not refused for by itself', async t => {
  const together = new Lines(50, part => part.includes('3') && part.includes('40'))
  t.same(await together.find(true), [])
  const both = new Lines(50, part => part.includes('7') || (part.includes('30') && part.includes('31')))
  t.same(
    (await both.find(true)).map(({ index }) => index),
    [7],
    'what is refused all the same will be refused again',
  )
  t.same(await new Lines(50, part => part.length === 50).find(false), [], 'the whole is refused, its parts are not')
  t.same(await new Lines(50, () => false).find(true), [], 'it was, and is not any more')
  t.same(await new Lines(50, () => false).find(false), [])
})

t.test('a search that is no longer wanted ends, and leaves nothing', async t => {
  const lines = new Lines(50, part => part.includes('3'))
  await t.rejects(lines.find(true, AbortSignal.abort(new Error('no longer'))), { message: 'no longer' })
  t.equal(lines.open, 0)
})

t.test('bytes are split at the ends of lines, however they arrive', async t => {
  const line = fc.string({ unit: fc.constantFrom('a', '"', '\n', '\r', '\u2028', ',', 'é') })
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.nat(20)), fc.boolean(), async (texts, cuts, quotes) => {
      const lines = texts.map(text => (quotes ? `"${text.replaceAll('"', '""')}",1\n` : `${JSON.stringify(text)}\n`))
      const whole = Buffer.from(lines.join(''))
      async function* pieces() {
        let at = 0
        for (const cut of cuts) {
          yield whole.subarray(at, at + cut)
          at += cut
        }
        yield whole.subarray(at)
      }
      const found = await Array.fromAsync(linesOf(pieces(), { quotes }))
      t.strictSame(found.map(String), lines)
    }),
    { numRuns: 100 },
  )
  async function* cut() {
    yield Buffer.from('a\nb')
  }
  t.strictSame((await Array.fromAsync(linesOf(cut(), { quotes: false }))).map(String), ['a\n', 'b'])
})

t.test('lines are copied many at a time', async t => {
  async function* long() {
    for (let index = 0; index < 1_000; index++) yield Buffer.from(`${index} ${'x'.repeat(1_000)}\n`)
  }
  const writes: [number, number][] = []
  await copyLines(long(), { write: async (bytes, lines) => void writes.push([bytes.length, lines]) }, new Set([0, 999]))
  t.equal(
    writes.reduce((sum, [, lines]) => sum + lines, 0),
    998,
  )
  t.ok(writes.length < 10 && writes.every(([bytes]) => bytes < 300_000), `${writes.length} writes`)
})

/** The table `ads`, with more conditions than headrace knows of. */
async function strict(t: Test, condition: string) {
  const { warehouse, path } = await prepared(t, ads)
  const [{ sql }] = (await query(path, "SELECT sql FROM duckdb_tables() WHERE table_name = 'daily'")) as [{ sql: string }]
  await execute(path, 'DROP TABLE ads.daily', sql.replace('db.', '').replace(/\);$/, `, ${condition});`))
  t.equal(await warehouse.prepare(ads, { create: false }, calling()), true)
  return { warehouse, path }
}

t.test('rows that break a condition of the table become rejects, in the words of DuckDB', async t => {
  const { warehouse, path } = await strict(t, 'CHECK (clicks <> 13)')
  const rows = Array.from({ length: 30 }, (_, index) => ad('a', DAY, `n${index}\n"`, index, '0.1', index === 13 ? null : ''))
  const draft = await openDraft(warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows, rejects: [reject(DAY)] })
  await draft.seal()
  await t.rejects(warehouse.commit(ads, TOTALS, [draft.member()], calling()), { code: 'STAGED_UNREADABLE' })
  const rejects = await siftRows(draft.target, calling())
  t.strictSame(rejects, [
    {
      column: null,
      rule: 'warehouse',
      value: null,
      reason: 'is refused by DuckDB: CHECK constraint failed on table daily with expression CHECK((clicks != 13))',
      day: DAY,
      record: { client_id: 'a', date: DAY, name: 'n13\n"', clicks: 13, cost: '0.1', note: null },
    },
  ])
  t.same(readdirSync(`${path}.staging`).length, 2, 'nothing is left of the search')
  await stageBatch({ rejects, deduplicated: 0 }, draft.target)
  const { staging } = draft.target
  t.equal((await draft.seal()).bytes, statSync(`${path}.staging/${draft.member().attemptId}.csv`).size)
  t.match(await warehouse.commit(ads, TOTALS, [draft.member()], calling()), [{ inserted: 29 }])
  t.equal((await adsRows(path)).length, 29)
  await staging.discard()
  t.same(readdirSync(`${path}.staging`), [])
})

t.test('rows that only an index refuses are held: two are at fault then', async t => {
  const { warehouse, path } = await strict(t, 'UNIQUE (clicks)')
  const rows = [1, 2, 2, 3].map((clicks, index) => ad('a', DAY, `n${index}`, clicks))
  const draft = await openDraft(warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows })
  await draft.seal()
  await t.rejects(warehouse.commit(ads, TOTALS, [draft.member()], calling()), { code: 'STAGED_UNREADABLE' })
  await t.rejects(siftRows(draft.target, calling()), { code: 'STAGED_UNREADABLE', message: /duplicate key/ })
  t.same(await adsRows(path), [])
})

t.test('a file that is not what was written makes no rejects', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const draft = await openDraft(warehouse, ads, { client: 'a', from: DAY, totals: TOTALS, rows: [ad('a', DAY, 'x')] })
  await draft.seal()
  const file = `${path}.staging/${draft.member().attemptId}.csv`
  writeFileSync(file, 'x'.repeat(statSync(file).size))
  await t.rejects(warehouse.commit(ads, TOTALS, [draft.member()], calling()), { code: 'STAGED_UNREADABLE' })
  await t.rejects(siftRows(draft.target, calling()), { code: 'STAGED_UNREADABLE' })
  t.equal(readFileSync(file, 'utf8')[0], 'x')
})

t.test('what a search left that was killed is swept away with its attempt', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const { attemptId } = await stage(warehouse, ads, { client: 'a', from: DAY })
  for (const ending of ['sifted', 'part1', 'part12']) writeFileSync(`${path}.staging/${attemptId}.${ending}.csv`, '')
  t.equal(await warehouse.sweep(async () => new Set([attemptId])), 0)
  t.equal(await warehouse.sweep(async () => new Set()), 1)
  t.same(readdirSync(`${path}.staging`), [])
})

const VALUES: Readonly<Record<string, { readonly column: Column; readonly value: string | number | boolean }>> = {
  whole: { column: int64(), value: -5 },
  long: { column: int64(), value: '9223372036854775807' },
  decimal: { column: numeric(), value: '-0.5' },
  double: { column: float64(), value: 1e21 },
  no: { column: bool(), value: false },
  yes: { column: bool(), value: true },
  day: { column: date(), value: '2026-02-01' },
  instant: { column: timestamp(), value: '2026-03-29T01:30:00.123456Z' },
  document: { column: json(), value: '{"a":[1,"b"]}' },
  text: { column: string(), value: 'a, "b"\n' },
}

t.test('a refused row is told with every value as it was', async t => {
  const columns = Object.fromEntries(Object.entries(VALUES).map(([name, { column }]) => [name, column]))
  const table = defineTable('ads.wide', { client_id: string(), date: date(), bad: int64(), ...columns }, { partitionBy: 'date' })
  const { warehouse } = await prepared(t, table)
  const values = Object.fromEntries(Object.entries(VALUES).map(([name, { value }]) => [name, value]))
  const row = { client_id: 'a', date: DAY, bad: 'x', ...values }
  const draft = await openDraft(warehouse, table, { client: 'a', from: DAY, rows: [row] })
  await draft.seal()
  await t.rejects(warehouse.commit(table, [], [draft.member()], calling()), { code: 'STAGED_UNREADABLE' })
  const [found] = await draft.target.staging.sift(calling())
  t.strictSame(found?.row, row)
  t.match(found, { column: 'bad', reason: `is refused by DuckDB: Could not convert string "x" to 'BIGINT'` })
})
