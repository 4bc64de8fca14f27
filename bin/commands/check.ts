import { type Config, resolveClients } from '../../lib/config.ts'
import { ConfigError, type HeadraceError } from '../../lib/errors.ts'
import { GRANT_KEY, Seal } from '../../lib/oauth/seal.ts'
import { type GrantState, grantStatuses, needsSomebody } from '../../lib/standing/grants.ts'
import type { Table } from '../../lib/table.ts'
import type { Warehouse } from '../../lib/warehouse/warehouse.ts'
import { columns, explain, output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import { providersOf } from './grants.ts'
import { live } from './live.ts'
import type { CommonOptions } from './options.ts'

/** What `headrace check` takes. */
export interface CheckOptions extends CommonOptions {
  readonly apply?: boolean
  readonly live?: boolean
  readonly dataset?: string
}

/** `headrace check`: the configuration, the clients, the ledger and every table; changes none unless told to widen them. */
export async function check(options: CheckOptions): Promise<void> {
  const { config: file, json, apply = false } = options
  if (options.live) {
    await live(options.dataset, options)
    return
  }
  if (options.dataset !== undefined) {
    throw new ConfigError('USAGE', { message: '--dataset is for --live', hint: 'Nothing was read or written.' })
  }
  await withConfig(file, async config => {
    const clients = await resolveClients(config, undefined, patientCall.signal)
    const tables = []
    for (const { name, table } of config.pipelines) {
      const known = await config.ledger.clients(name)
      const widened = apply ? await config.warehouse.widen(table, patientCall) : []
      tables.push({
        pipeline: name,
        table: table.name,
        ...(await compared(config.warehouse, table)),
        widened,
        clientsInLedger: known.length,
      })
    }
    const grants = await grantsOf(
      config,
      clients.map(({ id }) => id),
    )
    const mismatches = tables.flatMap(({ mismatch }) => mismatch ?? [])
    if (mismatches.length > 0) process.exitCode = 2
    else if ([...grants.keys()].some(needsSomebody)) process.exitCode = 42
    if (json) {
      const [error] = mismatches.map(shown)
      output.json({
        command: 'check',
        clients: clients.length,
        warehouse: config.warehouse.name,
        tables: tables.map(({ mismatch, ...table }) => ({ ...table, mismatch: mismatch === undefined ? null : shown(mismatch) })),
        grants: Object.fromEntries(grants),
        ...(error === undefined ? {} : { error }),
      })
    } else {
      output.line(`${plural(clients.length, 'client')}, warehouse ${config.warehouse.name}`)
      output.line()
      const rows = tables.map(({ pipeline, table, exists, mismatch }) => [pipeline, table, stateText(exists, mismatch)])
      for (const line of columns([['pipeline', 'table', 'state'], ...rows])) output.line(line)
      const states = [...grants].map(([state, number]) => `${number} ${state}`)
      if (states.length > 0) output.line(`\ngrants: ${states.join(', ')}; headrace grants list shows them`)
      const widened = tables.flatMap(table => table.widened)
      if (apply) output.line()
      for (const line of widened) output.line(line)
      if (apply && widened.length === 0) output.line('Nothing was changed.')
    }
    for (const line of mismatches.flatMap(explain)) output.note(line)
  })
}

/** How many grants that the clients are read with are in each state. Throws `GRANT_KEY_INVALID` where there are to be any, and no key. */
async function grantsOf(config: Config, clients: readonly string[]): Promise<Map<GrantState, number>> {
  const providers = providersOf(config)
  if (providers.length === 0) return new Map()
  const statuses = await grantStatuses(providers, clients, config.ledger, new Seal(process.env[GRANT_KEY]))
  const counts = new Map<GrantState, number>()
  for (const { state, configured } of statuses) if (configured) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

/** Whether a table is there, and how it differs; what else may fail is for the whole command. */
async function compared(
  warehouse: Warehouse,
  table: Table,
): Promise<{ readonly exists: boolean; readonly mismatch: HeadraceError | undefined }> {
  try {
    return { exists: await warehouse.prepare(table, { create: false }, patientCall), mismatch: undefined }
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'TABLE_MISMATCH') return { exists: true, mismatch: error }
    throw error
  }
}

function stateText(exists: boolean, mismatch: HeadraceError | undefined): string {
  if (mismatch !== undefined) return 'differs from its declaration'
  return exists ? 'as declared' : 'not there yet; the first run creates it'
}

/** An error as every command shows it to machines. */
function shown({ code, message, hint }: HeadraceError): { code: string; message: string; hint: string | null } {
  return { code, message, hint: hint ?? null }
}
