import { parseWindow } from '../../lib/chunk.ts'
import type { StoredReject } from '../../lib/warehouse/warehouse.ts'
import { columns, output } from '../output.ts'
import { chosenPipelines, patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** What `headrace rejects` takes. */
export interface RejectsOptions extends CommonOptions {
  readonly pipeline?: string
  readonly clients?: readonly string[]
  readonly from?: string
  readonly to?: string
  readonly limit: number
}

/** `headrace rejects`: the rows that were refused, with the rule, the value and the record. */
export async function rejects(options: RejectsOptions): Promise<void> {
  const window =
    options.from === undefined && options.to === undefined
      ? undefined
      : parseWindow(options.from ?? options.to ?? '', options.to ?? options.from ?? '')
  await withConfig(options.config, async config => {
    const found: { readonly pipeline: string; readonly rejects: readonly StoredReject[] }[] = []
    for (const { name, table } of chosenPipelines(config, options.pipeline)) {
      const query = { clients: options.clients, window, limit: options.limit }
      found.push({ pipeline: name, rejects: await config.warehouse.rejects(table, query, patientCall) })
    }
    if (options.json) {
      output.json({ command: 'rejects', pipelines: found })
      return
    }
    for (const { pipeline, rejects: list } of found) {
      output.line(
        list.length === 0
          ? `${pipeline}: no rejects`
          : `${pipeline}: ${list.length === options.limit ? 'the newest ' : ''}${list.length} rejects`,
      )
      if (list.length === 0) continue
      const groups = Map.groupBy(list, ({ rule, column }) => `${column ?? 'record'} ${rule}`)
      output.line()
      for (const line of columns([
        ['column', 'rule', 'rejects', 'for example'],
        ...[...groups.values()].map(group => {
          const [first] = group as [StoredReject]
          return [first.column ?? '(record)', first.rule, group.length, `${first.value ?? 'nothing'} ${first.reason}`]
        }),
      ])) {
        output.line(line)
      }
      for (const { client, day, column, value, reason, record, held } of list) {
        output.line()
        output.line(
          `${client}, ${day}${held ? ', chunk held' : ''}: ${column === null ? 'record' : `column ${column} ${value ?? 'nothing'}`} ${reason}`,
        )
        output.line(`  ${record.length > 500 ? `${record.slice(0, 500)}…` : record}`)
      }
    }
  })
}
