import t from 'tap'
import { date, defineTable, int64, numeric, string } from '../../lib/table.ts'
import { namesOf } from '../../lib/warehouse/bigquery/names.ts'
import type { ParameterValue } from '../../lib/warehouse/bigquery/parameters.ts'
import { commitScript, type StagedSource } from '../../lib/warehouse/bigquery/script.ts'
import type { Member } from '../../lib/warehouse/warehouse.ts'

const table = defineTable(
  'ads.daily',
  { client_id: string(), date: date(), clicks: int64(), cost: numeric() },
  { partitionBy: 'date', key: ['client_id', 'date'] },
)

function member(client: string, from: string, to: string, more: Partial<Member> = {}): Member {
  return {
    chunk: { pipeline: 'p', client, window: { from, to } },
    attemptId: `attempt ${client}`,
    receipt: '',
    generation: 1,
    intent: 'publish',
    days: [{ day: from, rows: 1, rejected: 0, fingerprint: '', totals: { clicks: '1', cost: '0.5' } }],
    restated: [],
    checkKey: false,
    ...more,
  }
}

const SOURCE = { rows: '`p.staging.rows`', rejects: undefined }

function script(members: readonly Member[], sources: readonly StagedSource[] = members.map(() => SOURCE)) {
  return commitScript({ table, names: namesOf('p', table), totals: ['clicks', 'cost'], members, sources })
}

function* scalars(value: ParameterValue): Generator<unknown> {
  if ('value' in value) yield value.value
  else if ('arrayValues' in value) for (const inner of value.arrayValues) yield* scalars(inner)
  else if ('structValues' in value) for (const inner of Object.values(value.structValues)) yield* scalars(inner)
  else yield undefined
}

t.test('no parameter is empty at any depth: an empty one is NULL', async t => {
  const members = [member('a', '2026-01-01', '2026-01-02', { restated: ['2026-01-01'] }), member('', '2026-01-01', '2026-01-01')]
  const { parameters } = script(members)
  t.same(
    parameters.map(({ name }) => name),
    ['clients', 'members', 'days', 'restated'],
  )
  const values = parameters.flatMap(({ parameterValue }) => [...scalars(parameterValue)])
  t.ok(values.length > 20)
  t.ok(values.every(value => typeof value === 'string'))
})

t.test('only the days of the group are read, and windows that touch are one', async t => {
  const members = [
    member('a', '2026-01-03', '2026-01-04'),
    member('b', '2026-01-01', '2026-01-02'),
    member('c', '2026-02-28', '2026-02-28'),
    member('d', '2026-03-01', '2026-03-01'),
    member('e', '2026-01-02', '2026-01-03'),
  ]
  const { sql } = script(members)
  const days =
    "(t.`date` BETWEEN DATE '2026-01-01' AND DATE '2026-01-04' OR t.`date` BETWEEN DATE '2026-02-28' AND DATE '2026-03-01')"
  const reads = sql.split('`p.ads.daily` AS t').length - 1
  t.ok(reads >= 4)
  t.equal(sql.split(days).length - 1, reads, 'every statement on the table says so')
})

t.test('the transaction has no handler, and nothing follows the commit but the report', async t => {
  const { sql } = script([member('a', '2026-01-01', '2026-01-01')])
  t.notMatch(sql, /EXCEPTION/)
  const [before = '', inside = '', after] = sql.split(/BEGIN TRANSACTION;|COMMIT TRANSACTION;/)
  t.notMatch(before, /INSERT|DELETE|MERGE/)
  t.match(inside, /DELETE FROM `p.ads.daily`.*INSERT INTO `p.ads.daily`.*HR_COUNTS.*MERGE INTO `p.ads.daily_slices`/s)
  t.match(after, /^\s*SELECT/)
})

t.test('the same group always has the same text, and another one another', async t => {
  const [a, b] = [member('a', '2026-01-01', '2026-01-01'), member('b', '2026-01-01', '2026-01-01')]
  t.same(script([a, b]), script([a, b]))
  t.notSame(script([a]), script([b]))
  t.notSame(script([a]), script([{ ...a, generation: 2 }]))
  t.notSame(script([a]), script([{ ...a, intent: 'confirm' }]))
})

t.test('what is not needed is not there', async t => {
  const { sql } = script([member('a', '2026-01-01', '2026-01-01')], [{ rows: undefined, rejects: undefined }])
  t.notMatch(sql, /INSERT INTO `p.ads.daily`|HR_KEYS|v_changes|INSERT INTO `p.ads.daily_rejects`/)
  const held = script([member('a', '2026-01-01', '2026-01-01', { intent: 'rejects' })]).sql
  t.notMatch(held, /MERGE|INSERT INTO `p.ads.daily` /)
})
