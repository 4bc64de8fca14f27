import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ChunkSummary } from '../../lib/attempt/summary.ts'
import type { Rule } from '../../lib/errors.ts'
import type { Reject } from '../../lib/row.ts'
import { type StageTarget, stageBatch } from '../../lib/steps/stage.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import type { StoredReject, Warehouse, WarehouseCall } from '../../lib/warehouse/warehouse.ts'

const table = defineTable('a.b', { client_id: string(), date: date() }, { partitionBy: 'date' })
const window = { from: '2026-01-02', to: '2026-01-03' }
const call: WarehouseCall = { signal: new AbortController().signal, warn() {} }

interface Stage extends StageTarget {
  readonly warehouse: Warehouse
  readonly folder: string
}

/** A staging area in a real warehouse, in a folder that is gone after the test. */
async function staging(t: Test): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-stage-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const warehouse = duckdb({ path: join(folder, 'w.duckdb') })
  await warehouse.prepare(table, { create: true }, call)
  return { window, warehouse, folder, staging: await warehouse.stage(table, 'attempt-1'), summary: new ChunkSummary(table, []) }
}

/** Commits what is staged and reads the rejects back. */
async function kept({ warehouse, staging, summary }: Stage): Promise<StoredReject[]> {
  const { receipt } = await staging.seal()
  const chunk = { pipeline: 'p', client: 'a', window }
  const days = summary.days([window.from, window.to])
  const member = {
    chunk,
    attemptId: 'attempt-1',
    receipt,
    generation: 1,
    intent: 'rejects',
    days,
    restated: [],
    checkKey: false,
  } as const
  await warehouse.commit(table, [], [member], call)
  return warehouse.rejects(table, { limit: 100 }, call)
}

function reject(more: Partial<Reject> = {}): Reject {
  return { column: 'x', rule: 'type', value: '"v"', reason: 'is wrong', day: '2026-01-03', record: { x: 'v' }, ...more }
}

t.test('rows are written as they are, and counted', async t => {
  const target = await staging(t)
  t.same(await stageBatch({ day: '2026-01-02', rows: 2, bytes: Buffer.from('"a",2026-01-02\n"a",2026-01-02\n') }, target), {
    staged: 2,
    rejected: 0,
    deduplicated: 0,
    rules: new Map(),
  })
  await stageBatch({ day: '2026-01-03', rows: 1, bytes: Buffer.from('"a",2026-01-03\n') }, target)
  t.match(await target.staging.seal(), { bytes: 45 })
  const written = readFileSync(join(target.folder, 'w.duckdb.staging', 'attempt-1.csv'), 'utf8')
  t.equal(written, '"a",2026-01-02\n"a",2026-01-02\n"a",2026-01-03\n')
})

t.test('rejects are kept with everything known of them, and counted by rule', async t => {
  const target = await staging(t)
  const rejects = [reject(), reject({ rule: 'range' }), reject({ column: null, value: null, day: '2026-01-02' })]
  t.same(await stageBatch({ rejects, deduplicated: 4 }, target), {
    staged: 0,
    rejected: 3,
    deduplicated: 4,
    rules: new Map<Rule, number>([
      ['type', 2],
      ['range', 1],
    ]),
  })
  const found = await kept(target)
  const all = { client: 'a', attemptId: 'attempt-1', reason: 'is wrong', record: '{"x":"v"}', held: true }
  t.match(found, [
    { ...all, day: '2026-01-03', column: 'x', rule: 'range', value: '"v"' },
    { ...all, day: '2026-01-03', column: 'x', rule: 'type', value: '"v"' },
    { ...all, day: '2026-01-02', column: null, rule: 'type', value: null },
  ])
  t.equal(found.length, 3)
})

t.test('a batch of repeated rows alone writes nothing', async t => {
  const target = await staging(t)
  t.match(await stageBatch({ rejects: [], deduplicated: 4 }, target), { staged: 0, rejected: 0, deduplicated: 4 })
  t.same(await kept(target), [])
})

t.test('a reject belongs to a day of the window, also when its own is another or none', async t => {
  const target = await staging(t)
  const days = ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', null]
  await stageBatch({ rejects: days.map(day => reject({ day, record: { day } })), deduplicated: 0 }, target)
  t.match(target.summary.days([window.from, window.to]), [
    { day: '2026-01-02', rejected: 4, rows: 0 },
    { day: '2026-01-03', rejected: 1, rows: 0 },
  ])
  const found = await kept(target)
  t.same(found.map(({ day, record }) => `${day} ${record}`).sort(), [
    '2026-01-02 {"day":"2026-01-01"}',
    '2026-01-02 {"day":"2026-01-02"}',
    '2026-01-02 {"day":"2026-01-04"}',
    '2026-01-02 {"day":null}',
    '2026-01-03 {"day":"2026-01-03"}',
  ])
})

t.test('a day with other rejects has another fingerprint, whatever order they came in', async t => {
  const print = async (...rejects: readonly Reject[]): Promise<string | undefined> => {
    const target = await staging(t)
    for (const one of rejects) await stageBatch({ rejects: [one], deduplicated: 0 }, target)
    return target.summary.days(['2026-01-03'])[0]?.fingerprint
  }
  const [one, two] = [reject(), reject({ value: '"w"' })]
  t.equal(await print(one, two), await print(two, one))
  const prints = [
    await print(),
    await print(one),
    await print(one, one),
    await print(two),
    await print(reject({ rule: 'range' })),
    await print(reject({ column: null })),
    await print(reject({ reason: 'is different' })),
    await print(reject({ record: {} })),
  ]
  t.equal(new Set(prints).size, prints.length)
})

t.test('whatever a record is, it is kept as JSON that the warehouse can read', async t => {
  const target = await staging(t)
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const records: readonly (readonly [unknown, string])[] = [
    [undefined, 'null'],
    [null, 'null'],
    ['text, "quoted"\nand more', '"text, \\"quoted\\"\\nand more"'],
    [Number.NaN, 'null'],
    [12n, '"12"'],
    [{ id: 12345678901234567890n }, '{"id":"12345678901234567890"}'],
    [circle, '"[object Object]"'],
    [() => 1, '"[object Function]"'],
    [{ half: '\ud83d', whole: '😀', '\udc00': '\\ud83d' }, '{"half":"\\\\ud83d","whole":"😀","\\\\udc00":"\\\\ud83d"}'],
    [{ zero: '\u0000' }, '{"zero":"\\u0000"}'],
  ]
  await stageBatch({ rejects: records.map(([record]) => reject({ record })), deduplicated: 0 }, target)
  const found = await kept(target)
  t.same(found.map(({ record }) => record).sort(), records.map(([, text]) => text).sort())
})
