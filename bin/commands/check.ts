import { resolveClients } from '../../lib/config.ts'
import { columns, output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace check`: the configuration, the clients, the ledger and every table, without changing anything. */
export async function check({ config: file, json }: CommonOptions): Promise<void> {
  await withConfig(file, async config => {
    const clients = await resolveClients(config, undefined, patientCall.signal)
    const tables = []
    for (const { name, table } of config.pipelines) {
      const exists = await config.warehouse.prepare(table, { create: false }, patientCall)
      const known = await config.ledger.clients(name)
      tables.push({ pipeline: name, table: table.name, exists, clientsInLedger: known.length })
    }
    if (json) {
      output.json({ command: 'check', clients: clients.length, warehouse: config.warehouse.name, tables })
      return
    }
    output.line(`${plural(clients.length, 'client')}, warehouse ${config.warehouse.name}`)
    output.line()
    for (const line of columns([
      ['pipeline', 'table', 'state'],
      ...tables.map(({ pipeline, table, exists }) => [
        pipeline,
        table,
        exists ? 'as declared' : 'not there yet; the first run creates it',
      ]),
    ])) {
      output.line(line)
    }
  })
}
