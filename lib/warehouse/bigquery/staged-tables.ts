import type { WarehouseField } from '../../table.ts'
import type { Client } from './client.ts'
import { ServiceError } from './failure.ts'
import { type Ran, runJob } from './jobs.ts'
import type { TableId } from './names.ts'
import { upload } from './upload.ts'

/** Loads a compressed file of lines into a table of its own: all of it or nothing. */
export function loadFile(
  client: Client,
  { project, dataset, table }: TableId,
  fields: readonly WarehouseField[],
  path: string,
): Promise<Ran> {
  const load = {
    destinationTable: { projectId: project, datasetId: dataset, tableId: table },
    schema: { fields: fields.map(({ name, type, mode }) => ({ name, type, mode })) },
    sourceFormat: 'NEWLINE_DELIMITED_JSON',
    createDisposition: 'CREATE_IF_NEEDED',
    writeDisposition: 'WRITE_TRUNCATE',
    maxBadRecords: 0,
    ignoreUnknownValues: false,
  }
  return runJob(client, { id: `headrace-load-${table}`, configuration: { load }, submit: upload(client, path) })
}

/** The tables of the staging dataset. */
export async function* stagedTables(client: Client): AsyncGenerator<string> {
  let pageToken: string | undefined
  do {
    const query = { maxResults: 1_000, ...(pageToken === undefined ? {} : { pageToken }) }
    const path = `/datasets/${client.settings.stagingDataset}/tables`
    const answer = await client.ask({ method: 'GET', path, query }).catch((error: unknown) => {
      // Where there is no dataset, nothing is staged.
      if (error instanceof ServiceError && error.missing) return { body: {} }
      throw error
    })
    const page: { tables?: readonly { tableReference?: { tableId?: string } }[]; nextPageToken?: string } = answer.body
    for (const { tableReference } of page.tables ?? []) if (tableReference?.tableId !== undefined) yield tableReference.tableId
    pageToken = page.nextPageToken
  } while (pageToken !== undefined)
}

/** Drops a staged table; one that stays expires by itself. */
export async function dropStaged(client: Client, table: string): Promise<void> {
  const path = `/datasets/${client.settings.stagingDataset}/tables/${table}`
  await client.send({ method: 'DELETE', path }).catch(() => undefined)
}
