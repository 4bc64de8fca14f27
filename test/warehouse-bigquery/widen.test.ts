import t, { type Test } from 'tap'
import { nullable, numeric, string, type Table } from '../../lib/table.ts'
import { undisturbed } from '../../lib/testing/stage.ts'
import { bigquery } from '../../lib/warehouse/bigquery/bigquery.ts'
import type { BigQueryOptions } from '../../lib/warehouse/bigquery/options.ts'
import type { LiveTable } from '../../lib/warehouse/bigquery/schema.ts'
import type { WarehouseCall } from '../../lib/warehouse/warehouse.ts'
import type { Options as ServerOptions } from '../servers/bigquery/server.ts'
import { ads } from '../warehouse/kit.ts'
import { type BigQueryHost, openBigQuery } from './hosts.ts'

const wider: Table = { ...ads, columns: { ...ads.columns, cost: nullable(numeric()), region: nullable(string()) } }

async function opened(t: Test, serverOptions: ServerOptions = {}, options: BigQueryOptions = {}): Promise<BigQueryHost> {
  const host = await openBigQuery({ requestSeconds: 2, ...options }, serverOptions)
  t.teardown(() => host.close())
  await host.warehouse.prepare(ads, { create: true }, undisturbed)
  return host
}

const addressOf = ({ server: { url, project } }: BigQueryHost): string =>
  `${url}/bigquery/v2/projects/${project}/datasets/ads/tables/daily`

/** The table as the API shows it. */
async function described(host: BigQueryHost): Promise<LiveTable> {
  return JSON.parse(await (await fetch(addressOf(host))).text())
}

/** Columns with their modes. */
async function fields(host: BigQueryHost): Promise<string[]> {
  const { schema } = await described(host)
  return (schema?.fields ?? []).map(({ name, mode = 'NULLABLE' }) => `${name} ${mode}`)
}

const WIDENED = ['headrace-test.ads.daily: column cost may be null now', 'headrace-test.ads.daily: column region added']

t.test('what another process adds in the same moment is kept', async t => {
  const other: Table = { ...ads, columns: { ...ads.columns, theirs: nullable(string()) } }
  let meanwhile: (() => Promise<unknown>) | undefined
  const host = await opened(t, {
    onRequest: async ({ kind }, moment) => {
      const now = kind === 'tables.patch' && moment === 'arrived' ? meanwhile : undefined
      if (now === undefined) return
      meanwhile = undefined
      await now()
    },
  })
  meanwhile = () => bigquery(host.options).widen(other, undisturbed)
  t.same((await host.warehouse.widen(wider, undisturbed)).sort(), WIDENED)
  const found = await fields(host)
  t.match(found.join(), /cost NULLABLE.*theirs NULLABLE.*region NULLABLE/)
  t.equal(host.server.log.filter(({ kind, status }) => kind === 'tables.patch' && status === 412).length, 1)
})

for (const effect of [
  { kind: 'reset', after: true },
  { kind: 'reset' },
  { kind: 'error', reason: 'backendError', after: true },
  { kind: 'truncate' },
  { kind: 'hang', after: true },
] as const) {
  t.test(`a change whose answer is lost (${JSON.stringify(effect)}) is made once, and told of`, async t => {
    const host = await opened(t, {}, { requestSeconds: 0.5 })
    host.server.faults.add({ on: 'tables.patch', effect })
    t.same((await host.warehouse.widen(wider, undisturbed)).sort(), WIDENED)
    t.same(await host.warehouse.widen(wider, undisturbed), [])
    t.equal(await host.warehouse.prepare(wider, { create: false }, undisturbed), true)
  })
}

t.test('whoever may not change the table is told so, and the table is as it was', async t => {
  const host = await opened(t)
  host.server.faults.add({ on: 'tables.patch', effect: { kind: 'error', reason: 'accessDenied' } })
  const before = await fields(host)
  await t.rejects(host.warehouse.widen(wider, undisturbed), { code: 'WAREHOUSE_UNUSABLE', message: /^ads\.daily: / })
  t.same(await fields(host), before)
})

t.test('a live table that may be read without a filter is told of, and stays so', async t => {
  const host = await opened(t)
  const said: string[] = []
  const call: WarehouseCall = { ...undisturbed, warn: (name, message) => said.push(`${name} ${message}`) }
  t.equal(await host.warehouse.prepare(ads, { create: false }, call), true)
  t.same(said, [])
  const body = JSON.stringify({ requirePartitionFilter: false })
  t.equal((await fetch(addressOf(host), { method: 'PATCH', body, headers: { 'Content-Type': 'application/json' } })).status, 200)
  t.equal(await host.warehouse.prepare(ads, { create: true }, call), true)
  t.equal(said.length, 1)
  t.match(said[0], /^PARTITION_FILTER_MISSING headrace-test\.ads\.daily .*ALTER TABLE `headrace-test\.ads\.daily` SET OPTIONS/)
  await host.warehouse.widen(wider, call)
  t.not((await described(host)).requirePartitionFilter, true)
})
