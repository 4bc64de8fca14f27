import type { DatasetName } from '../../lineage/dataset.ts'
import type { Table } from '../../table.ts'
import type { Warehouse, WarehouseCall } from '../warehouse.ts'
import { chargeOf } from './charge.ts'
import { Client } from './client.ts'
import { commitGroup } from './commit.ts'
import { failure } from './failure.ts'
import { InsertArea } from './insert-all.ts'
import { compileJson } from './json.ts'
import { namesOf, tableText } from './names.ts'
import { type BigQueryOptions, type Settings, settingsOf } from './options.ts'
import { prepareTable, widenTable } from './prepare.ts'
import { clientsOf, recount, rejectsOf } from './reads.ts'
import { besides, declaredTable } from './schema.ts'
import { LoadArea, type StagingArea, stagedAs } from './staging.ts'

/** The warehouse, and what it was opened with. */
export interface BigQueryWarehouse extends Warehouse {
  readonly settings: Settings
}

/**
 * The warehouse on Google's BigQuery. What is staged is loaded into tables of its own, for nothing; whatever is staged of one table is published
 * together, by one script that is one transaction. See `docs/bigquery.md`.
 */
export function bigquery(options: BigQueryOptions = {}): BigQueryWarehouse {
  return connect(settingsOf(options, process.env))
}

/** Whether a warehouse is one on BigQuery. */
export function isBigQuery(warehouse: Warehouse): warehouse is BigQueryWarehouse {
  return warehouse.name === 'bigquery' && 'settings' in warehouse
}

/** The same with every setting given. */
export function connect(settings: Settings): BigQueryWarehouse {
  const client = new Client(settings)
  const area: StagingArea = settings.staging === 'load' ? new LoadArea(client) : new InsertArea(client)

  async function prepare(table: Table, create: boolean, call: WarehouseCall): Promise<boolean> {
    try {
      const existed = await prepareTable(client, table, create, call)
      await area.prepare(table, create, call.signal)
      return existed
    } catch (error) {
      throw failure(table.name, error, 'Nothing was read or written.')
    }
  }

  async function widen(table: Table, { signal }: WarehouseCall): Promise<string[]> {
    try {
      const names = namesOf(await client.project(), table)
      const { slices, rejects } = besides(names)
      const widened: string[] = []
      for (const declared of [declaredTable(table, names), rejects, slices, ...(await area.streams(table))]) {
        widened.push(...(await widenTable(client, declared, signal)))
      }
      return widened
    } catch (error) {
      throw failure(table.name, error, 'What was added stays; run it again.')
    }
  }

  /** By the naming of the OpenLineage specification, https://openlineage.io/docs/spec/naming. */
  async function datasetName(table: Table): Promise<DatasetName> {
    try {
      return { namespace: 'bigquery', name: tableText(namesOf(await client.project(), table).target) }
    } catch (error) {
      throw failure(table.name, error, 'Nothing was read or written.')
    }
  }

  return {
    name: 'bigquery',
    settings,
    datasetName,
    encoder: compileJson,
    prepare: (table, { create }, call) => prepare(table, create, call),
    widen,
    stage: (table, attemptId) => area.stage(table, attemptId),
    commit: async (table, totals, members, { signal }) => {
      signal.throwIfAborted()
      return commitGroup(client, table, totals, members)
    },
    discard: ({ receipt }) => area.discard(stagedAs(receipt)),
    charge: (table, totals, publishing, { signal }) => chargeOf(client, table, totals, publishing, signal),
    recount: (table, totals, clients, { signal }) => recount(client, table, totals, clients, signal),
    clients: (table, { signal }) => clientsOf(client, table, signal),
    rejects: (table, query, { signal }) => rejectsOf(client, table, query, signal),
    sweep: async alive => {
      try {
        return await area.sweep(alive)
      } catch (error) {
        throw failure(settings.stagingDataset, error, 'Nothing was read or written.')
      }
    },
  }
}
