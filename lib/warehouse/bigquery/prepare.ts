import { ConfigError } from '../../errors.ts'
import type { Table } from '../../table.ts'
import { type Widening, wideningsOf, wideningText } from '../differences.ts'
import type { WarehouseCall } from '../warehouse.ts'
import type { Client } from './client.ts'
import { ServiceError } from './failure.ts'
import { runQuery } from './jobs.ts'
import { namesOf, type TableId, tablePath, tableText } from './names.ts'
import {
  besides,
  type Declared,
  declaredTable,
  differencesOf,
  isUnfiltered,
  type LiveTable,
  mustMatch,
  resourceOf,
  unfit,
  widenedFields,
} from './schema.ts'
import { GUARD } from './statements.ts'

/** How long what is staged stays there when nobody removes it: a day, in milliseconds. */
const STAGING_MS = 86_400_000

/** Compares what is there with what is declared and, with `create`, creates what is not there. Returns whether the table existed. */
export async function prepareTable(
  client: Client,
  table: Table,
  create: boolean,
  { signal, warn }: WarehouseCall,
): Promise<boolean> {
  const problems = unfit(table)
  if (problems.length > 0) {
    throw new ConfigError('TABLE_INVALID', {
      message: `table ${table.name}: ${problems.join('; ')}`,
      hint: 'Correct the declaration. Nothing was read or written.',
    })
  }
  const names = namesOf(await client.project(), table)
  const { slices, rejects } = besides(names)
  await dataset(client, names.target.dataset, create, signal)
  await dataset(client, client.settings.stagingDataset, create, signal, { defaultTableExpirationMs: String(STAGING_MS) })
  const declared = declaredTable(table, names)
  const found = await ensureTable(client, declared, create, signal)
  if (found !== undefined && isUnfiltered(declared, found)) warn('PARTITION_FILTER_MISSING', unfilteredText(names.target))
  await ensureTable(client, rejects, create, signal)
  await ensureTable(client, slices, create, signal)
  if (create) await guard(client, names.slices, signal)
  return found !== undefined
}

/** It is not set by `check --apply`: queries of others that work today would fail from then on. */
function unfilteredText(target: TableId): string {
  return (
    `${tableText(target)} lets a query read every day there is, which is charged in full. When nobody needs that, run: ` +
    `ALTER TABLE ${tablePath(target)} SET OPTIONS (require_partition_filter = TRUE)`
  )
}

/** Throws when the dataset of a table is in another location than the jobs. */
export async function mustBeHere(client: Client, { name }: Table, signal?: AbortSignal): Promise<void> {
  await dataset(client, name.split('.')[0] ?? '', false, signal)
}

/** The dataset must be where the jobs run; a job elsewhere does not find it. */
async function dataset(
  client: Client,
  datasetId: string,
  create: boolean,
  signal: AbortSignal | undefined,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const projectId = await client.project()
  const { location } = client.settings
  const found = await lookAt(client, `/datasets/${datasetId}`, signal)
  if (found !== undefined) {
    const there = typeof found.location === 'string' ? found.location : location
    if (there.toLowerCase() === location.toLowerCase()) return
    throw new ConfigError('WAREHOUSE_UNUSABLE', {
      message: `dataset ${projectId}.${datasetId} is in ${there}, and the warehouse is configured for ${location}`,
      hint: `Set location: '${there}', or name datasets that are in ${location}. Nothing was read or written.`,
    })
  }
  if (!create) return
  const json = { datasetReference: { projectId, datasetId }, location, ...more }
  await unlessThere(client.ask({ method: 'POST', path: '/datasets', json, signal }))
}

/** Compares a table with what is declared or, with `create`, creates it. Returns what was there. */
export async function ensureTable(
  client: Client,
  declared: Declared,
  create: boolean,
  signal: AbortSignal,
  more: Readonly<Record<string, string>> = {},
): Promise<LiveTable | undefined> {
  const found: LiveTable | undefined = await lookAt(client, addressOf(declared.id), signal)
  if (found !== undefined) mustMatch(declared, found)
  else if (create) {
    const path = `/datasets/${declared.id.dataset}/tables`
    await unlessThere(client.ask({ method: 'POST', path, json: { ...resourceOf(declared), ...more }, signal }))
  }
  return found
}

function addressOf({ dataset: datasetId, table }: TableId): string {
  return `/datasets/${datasetId}/tables/${table}`
}

/**
 * Widens a table, if it is there, so far that it takes nothing away. What is sent names the version of the table that was looked at, so that a
 * change by somebody else in between is not undone: then it is looked at again. Returns what was done, by this process or in the same moment
 * by another.
 */
export async function widenTable(client: Client, declared: Declared, signal: AbortSignal): Promise<string[]> {
  const path = addressOf(declared.id)
  let wanted: readonly Widening[] | undefined
  for (let attempt = 1; ; attempt++) {
    const live: LiveTable | undefined = await lookAt(client, path, signal)
    if (live === undefined) return []
    const left = wideningsOf(differencesOf(declared, live))
    wanted ??= left
    if (left.length === 0 || attempt > client.settings.tries) {
      const stays = new Set(left.map(({ column }) => column))
      return wanted.filter(({ column }) => !stays.has(column)).map(widening => wideningText(tableText(declared.id), widening))
    }
    const json = { schema: { fields: widenedFields(declared, live, left) } }
    try {
      await client.ask({ method: 'PATCH', path, json, headers: { 'If-Match': live.etag ?? '*' }, signal })
    } catch (error) {
      if (!(error instanceof ServiceError && error.status === 412)) throw error
      await client.pause(attempt, signal)
    }
  }
}

/** Another process may have created it in between. */
async function unlessThere(creation: Promise<unknown>): Promise<void> {
  await creation.catch((error: unknown) => {
    if (!(error instanceof ServiceError && error.duplicate)) throw error
  })
}

async function lookAt(
  client: Client,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    return (await client.ask({ method: 'GET', path, signal })).body
  } catch (error) {
    if (error instanceof ServiceError && error.missing && !/not found: project/i.test(error.message)) return undefined
    throw error
  }
}

/** The row that every commit changes must be there before the first: two that only insert do not notice each other. */
async function guard(client: Client, slices: TableId, signal: AbortSignal): Promise<void> {
  const path = tablePath(slices)
  const there = `SELECT 1 FROM ${path} WHERE client_id = '${GUARD.client}' AND day = DATE '${GUARD.day}'`
  await runQuery(client, {
    sql:
      `IF NOT EXISTS (${there}) THEN\n` +
      `  INSERT INTO ${path} (client_id, day, generation, attempt_id, \`rows\`, published_at)\n` +
      `  VALUES ('${GUARD.client}', DATE '${GUARD.day}', 0, '', 0, CURRENT_TIMESTAMP());\n` +
      'END IF;',
    script: true,
    signal,
  })
}
