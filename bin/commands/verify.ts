import { ConfigError } from '../../lib/errors.ts'
import { verify as recount, type Verification } from '../../lib/standing/verify.ts'
import { columns, count, output, plural } from '../output.ts'
import { chosenPipelines, patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** Divergences listed; beyond it they are only counted. */
const LISTED = 50

/** `headrace verify`: recounts the warehouse against the ledger, and says what differs. Ends with 42 when something does. */
export async function verify(
  options: CommonOptions & { readonly pipeline?: string; readonly clients?: readonly string[] },
): Promise<void> {
  await withConfig(options.config, async config => {
    const results: (Verification & { readonly pipeline: string; readonly table: string })[] = []
    for (const pipeline of chosenPipelines(config, options.pipeline)) {
      const result = await recount(pipeline, config, { clients: options.clients, limit: LISTED }, patientCall)
      results.push({ pipeline: pipeline.name, table: pipeline.table.name, ...result })
    }
    const nowhere = (options.clients ?? []).filter(client => results.every(({ unknown }) => unknown.includes(client)))
    if (nowhere.length > 0) {
      throw new ConfigError('USAGE', {
        message: `--clients ${nowhere.join(', ')}: neither the ledger nor the warehouse knows them`,
        hint: 'Check the spelling.',
      })
    }
    if (results.some(({ divergences }) => divergences.length > 0)) process.exitCode = 42
    if (options.json) {
      output.json({ command: 'verify', results })
      return
    }
    for (const { pipeline, table, clients, days, rows, divergences, more } of results) {
      const verdict =
        divergences.length === 0 ? 'all as the ledger says' : `${plural(divergences.length + more, 'day')} not as in the ledger`
      output.line(
        `${pipeline}: ${table} holds ${plural(rows, 'row')} of ${plural(clients, 'client')}; ${plural(days, 'day')} compared, ${verdict}`,
      )
      if (divergences.length === 0) continue
      output.line()
      const rowsOf = divergences.map(({ client, day, differences }) => [client, day, differences.join('; ')])
      for (const line of columns([['client', 'day', 'difference'], ...rowsOf])) output.line(line)
      if (more > 0) output.line(`and ${count(more)} more`)
      output.line('Run the days again with headrace backfill: what differs is written anew.')
    }
  })
}
