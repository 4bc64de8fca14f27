import { parseWindow } from '../../lib/chunk.ts'
import type { StoredReject } from '../../lib/warehouse/warehouse.ts'
import { columns, output, plural } from '../output.ts'
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
          : `${pipeline}: ${list.length === options.limit ? 'the newest ' : ''}${plural(list.length, 'reject')}`,
      )
      if (list.length === 0) continue
      const groups = Map.groupBy(list, ({ rule, column }) => `${column ?? 'record'} ${rule}`)
      output.line()
      for (const line of columns([
        ['column', 'rule', 'rejects', 'for example'],
        ...[...groups.values()].map(group => {
          const [first] = group as [StoredReject]
          return [first.column ?? '(record)', first.rule, group.length, sentence(first)]
        }),
      ])) {
        output.line(line)
      }
      for (const reject of list) {
        const { client, day, record, held } = reject
        output.line()
        output.line(`${client}, ${day}${held ? ', chunk held' : ''}: ${sentence(reject)}`)
        output.line(`  ${record.length > 500 ? `${record.slice(0, 500)}…` : record}`)
      }
    }
  })
}

/** What is wrong with a record, with its subject. */
function sentence({ column, rule, value, reason }: StoredReject): string {
  if (rule === 'key') return `key ${value}: ${reason}`
  if (column === null) return `record ${reason}`
  return rule === 'required' ? `column ${column} ${reason}` : `column ${column} ${value ?? 'nothing'} ${reason}`
}
