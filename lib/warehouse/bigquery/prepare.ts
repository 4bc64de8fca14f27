import { ConfigError } from '../../errors.ts'
import type { Table } from '../../table.ts'
import type { Client } from './client.ts'
import { ServiceError } from './failure.ts'
import { runQuery } from './jobs.ts'
import { namesOf, type TableId, tablePath } from './names.ts'
import { besides, type Declared, declaredTable, type LiveTable, mustMatch, resourceOf, unfit } from './schema.ts'
import { GUARD } from './statements.ts'

/** How long what is staged stays there when nobody removes it: a day, in milliseconds. */
const STAGING_MS = 86_400_000

/** Compares what is there with what is declared and, with `create`, creates what is not there. Returns whether the table existed. */
export async function prepareTable(client: Client, table: Table, create: boolean, signal: AbortSignal): Promise<boolean> {
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
  const existed = await ensureTable(client, declaredTable(table, names), create, signal)
  await ensureTable(client, rejects, create, signal)
  await ensureTable(client, slices, create, signal)
  if (create) await guard(client, names.slices, signal)
  return existed
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

/** Compares a table with what is declared or, with `create`, creates it. Returns whether it existed. */
export async function ensureTable(
  client: Client,
  declared: Declared,
  create: boolean,
  signal: AbortSignal,
  more: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const { dataset: datasetId, table } = declared.id
  const path = `/datasets/${datasetId}/tables`
  const found: LiveTable | undefined = await lookAt(client, `${path}/${table}`, signal)
  if (found !== undefined) {
    mustMatch(declared, found)
    return true
  }
  if (create) await unlessThere(client.ask({ method: 'POST', path, json: { ...resourceOf(declared), ...more }, signal }))
  return false
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
