import t from 'tap'
import { date, defineTable, float64, int64, json, nullable, numeric, string, type Table, timestamp } from '../../lib/table.ts'
import { undisturbed } from '../../lib/testing/stage.ts'
import { namesOf } from '../../lib/warehouse/bigquery/names.ts'
import { declaredTable, type LiveTable, mustMatch, resourceOf, unfit } from '../../lib/warehouse/bigquery/schema.ts'
import { openBigQuery } from './hosts.ts'

const table = defineTable(
  'ads.daily',
  {
    client_id: string(),
    date: date({ description: 'd'.repeat(2_000) }),
    clicks: int64(),
    cost: nullable(numeric()),
    extra: nullable(json()),
  },
  { partitionBy: 'date', clusterBy: ['client_id', 'clicks'], description: 'Daily numbers.' },
)
const declared = declaredTable(table, namesOf('p', table))

const LIVE: LiveTable = {
  type: 'TABLE',
  schema: {
    fields: [
      { name: 'client_id', type: 'STRING', mode: 'REQUIRED' },
      { name: 'date', type: 'DATE', mode: 'REQUIRED' },
      { name: 'clicks', type: 'INTEGER', mode: 'REQUIRED' },
      { name: 'cost', type: 'NUMERIC' },
      { name: 'extra', type: 'JSON', mode: 'NULLABLE' },
    ],
  },
  timePartitioning: { type: 'DAY', field: 'date' },
  clustering: { fields: ['client_id', 'clicks'] },
}

t.test('a table is created partitioned by its day, clustered, and never read without days', async t => {
  const resource = resourceOf(declared)
  t.match(resource, {
    tableReference: { projectId: 'p', datasetId: 'ads', tableId: 'daily' },
    description: 'Daily numbers.',
    timePartitioning: { type: 'DAY', field: 'date' },
    clustering: { fields: ['client_id', 'clicks'] },
    requirePartitionFilter: true,
  })
  t.equal(resource.schema.fields[1]?.description?.length, 1_024)
})

t.test('a table that BigQuery describes in its old words is the same', async t => {
  t.doesNotThrow(() => mustMatch(declared, LIVE))
  t.doesNotThrow(() => mustMatch(declared, { ...LIVE, timePartitioning: { type: 'MONTH', field: 'date' } }))
})

const fields = LIVE.schema?.fields ?? []
const DIFFERENT: readonly (readonly [string, LiveTable])[] = [
  ['it is a materialized view', { ...LIVE, type: 'MATERIALIZED_VIEW' }],
  ['it is not partitioned, declared by date', { ...LIVE, timePartitioning: {} }],
  ['it is partitioned by day, declared date', { ...LIVE, timePartitioning: { type: 'DAY', field: 'day' } }],
  ['it is partitioned by the time of loading, declared date', { ...LIVE, timePartitioning: { type: 'DAY' } }],
  ['it is partitioned by HOUR, declared by DAY', { ...LIVE, timePartitioning: { type: 'HOUR', field: 'date' } }],
  ['it is clustered by nothing, declared client_id, clicks', { ...LIVE, clustering: {} }],
  ['column cost is missing', { ...LIVE, schema: { fields: fields.filter(({ name }) => name !== 'cost') } }],
  ['column more is not declared', { ...LIVE, schema: { fields: [...fields, { name: 'more', type: 'STRING' }] } }],
  [
    'column cost is FLOAT64, declared NUMERIC',
    { ...LIVE, schema: { fields: fields.map(f => (f.name === 'cost' ? { ...f, type: 'FLOAT' } : f)) } },
  ],
  [
    'column cost is required, declared otherwise',
    { ...LIVE, schema: { fields: fields.map(f => (f.name === 'cost' ? { ...f, mode: 'REQUIRED' } : f)) } },
  ],
  [
    'column cost is an array',
    { ...LIVE, schema: { fields: fields.map(f => (f.name === 'cost' ? { ...f, mode: 'REPEATED' } : f)) } },
  ],
  [
    'column cost holds only (10, 2) digits',
    { ...LIVE, schema: { fields: fields.map(f => (f.name === 'cost' ? { ...f, precision: '10', scale: '2' } : f)) } },
  ],
  [
    'column client_id holds only 5 characters',
    { ...LIVE, schema: { fields: fields.map(f => (f.name === 'client_id' ? { ...f, maxLength: '5' } : f)) } },
  ],
]

t.test('every difference is named, and nothing else', async t => {
  for (const [clause, live] of DIFFERENT) {
    t.throws(() => mustMatch(declared, live), {
      code: 'TABLE_MISMATCH',
      message: `table p.ads.daily differs from its declaration: ${clause}`,
    })
  }
})

t.test('what BigQuery cannot do is refused before anything is created', async t => {
  const host = await openBigQuery()
  t.teardown(() => host.close())
  const wide: Table = defineTable(
    'ads.wide',
    { client_id: string(), date: date(), a: float64(), b: json(), c: timestamp(), _TABLE_x: string() },
    { partitionBy: 'date', clusterBy: ['client_id', 'date', 'a', 'b', 'c'], key: ['client_id', 'date', 'a'] },
  )
  t.equal(unfit(wide).length, 5)
  await t.rejects(host.warehouse.prepare(wide, { create: true }, undisturbed), {
    code: 'TABLE_INVALID',
    message: /5 columns, BigQuery knows 4.*clustered by a, a FLOAT64.*clustered by b, a JSON.*its key has a.*column _TABLE_x/,
  })
  t.equal(host.server.log.length, 0)
})
