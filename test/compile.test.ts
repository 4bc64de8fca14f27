import t from 'tap'
import { type CompiledPipeline, compilePipeline } from '../lib/compile.ts'
import { defineConnector } from '../lib/connector.ts'
import { client, constant, custom, day, integer, optional, timestamp } from '../lib/mapping.ts'
import { definePipeline, type Pipeline } from '../lib/pipeline.ts'
import { bool, date, defineTable, timestamp as instant, int64, nullable, numeric, string } from '../lib/table.ts'
import { duckdb } from '../lib/warehouse/duckdb/duckdb.ts'

const source = defineConnector<Record<string, unknown>>({ name: 'loose', async *pages() {} })
const table = defineTable(
  'web.visits',
  { client_id: string(), date: date(), n: int64(), cost: numeric(), on: bool(), at: nullable(instant()) },
  { partitionBy: 'date' },
)
const map = {
  client_id: client(),
  date: day('date'),
  n: integer('n'),
  cost: custom('NUMERIC', () => '1', 'shows a word'),
  on: constant(true),
  at: optional(timestamp('at')),
}

/** A pipeline with some of its options changed, compiled. */
function compiled(options: Record<string, unknown> = {}): CompiledPipeline {
  const declare = definePipeline as unknown as (options: Record<string, unknown>) => Pipeline
  return compilePipeline(declare({ name: 'visits', source, table, map, ...options }), duckdb({ path: 'never-opened.duckdb' }))
}

t.test('the hash of a pipeline changes with its mapping, checks and totals, also within a custom function', async t => {
  const { pipelineHash, schemaHash } = compiled()
  t.match(pipelineHash, /^[0-9a-f]{16}$/)
  t.equal(compiled().pipelineHash, pipelineHash)
  const changed = [
    { map: { ...map, n: integer('m') } },
    { map: { ...map, on: constant(false) } },
    { map: { ...map, cost: custom('NUMERIC', () => '2', 'shows a word') } },
    { map: { ...map, at: optional(timestamp('at', 'ms')) } },
    { checks: { empty: 'allow' } },
    { checks: { drift: 'hold' } },
    { totals: ['n'] },
    { totals: ['n'], sourceTotals: { n: integer('sum') } },
    { checks: { sourceTotals: { policy: 'warn' } } },
  ]
  const hashes = changed.map(options => compiled(options))
  t.equal(new Set([pipelineHash, ...hashes.map(hash => hash.pipelineHash)]).size, changed.length + 1)
  t.ok(hashes.every(hash => hash.schemaHash === schemaHash))
})

t.test('the hash of a table changes with its name, columns, constraints, partition, clustering and key', async t => {
  const columns = { client_id: string(), date: date(), n: int64() }
  const small = { client_id: client(), date: day('date'), n: integer('n') }
  const other = { ...columns, other: date() }
  const tables = [
    defineTable('web.a', columns, { partitionBy: 'date' }),
    defineTable('web.b', columns, { partitionBy: 'date' }),
    defineTable('web.a', { ...columns, n: int64({ minimum: 0 }) }, { partitionBy: 'date' }),
    defineTable('web.a', columns, { partitionBy: 'date', clusterBy: ['n'] }),
    defineTable('web.a', columns, { partitionBy: 'date', key: ['client_id', 'date'] }),
    defineTable('web.a', { ...columns, n: nullable(int64()) }, { partitionBy: 'date' }),
    defineTable('web.a', { ...columns, n: nullable(int64({ description: 'How many.' })) }, { partitionBy: 'date' }),
  ]
  const hashes = tables.map(table => compiled({ table, map: small }).schemaHash)
  const partitions = (['date', 'other'] as const).map(
    partitionBy =>
      compiled({ table: defineTable('web.a', other, { partitionBy }), map: { ...small, other: day('x') } }).schemaHash,
  )
  t.equal(new Set([...hashes, ...partitions]).size, tables.length + 2)
})
