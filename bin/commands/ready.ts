import { isDay, windowText } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import { resolveClients } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import { type Readiness, readiness } from '../../lib/standing/readiness.ts'
import { output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace ready`: whether a table can be relied on through a day. Ends with 0 when it can, 1 when it cannot. */
export async function ready(
  table: string,
  options: CommonOptions & { readonly through: string; readonly client?: string },
): Promise<void> {
  const { through, client } = options
  if (!isDay(through))
    throw new ConfigError('USAGE', { message: `--through ${through} is not a day`, hint: 'Write days as YYYY-MM-DD.' })
  await withConfig(options.config, async config => {
    const pipeline = config.pipelines.find(one => one.table.name === table)
    if (pipeline === undefined) {
      const tables = config.pipelines.map(one => one.table.name).join(', ')
      throw new ConfigError('USAGE', { message: `there is no table ${table}, only ${tables}`, hint: 'Check the spelling.' })
    }
    const clients = await resolveClients(config, client === undefined ? undefined : [client], patientCall.signal)
    const { schemaHash } = compilePipeline(pipeline, config.warehouse)
    const question = { through, ...(client === undefined ? {} : { client }) }
    const found = await readiness({ pipeline, schemaHash, clients }, question, config.ledger, Date.now())
    if (!found.ready) process.exitCode = 1
    if (options.json) output.json(found)
    else for (const line of lines(found)) output.line(line)
  })
}

function* lines({ dataset, client, through, ...found }: Readiness): Generator<string> {
  const { ready, complete, validated, final, completeThrough, finalThrough, coverage, held, nextExpectedAt } = found
  yield `${dataset}${client === null ? '' : ` of ${client}`} is ${ready ? '' : 'not '}ready through ${through}`
  const { clients, days, missing } = coverage
  const whose = `${clients.complete} of ${plural(clients.required, 'client')}`
  yield `  complete: ${yesOrNo(complete)}; ${whose}, ${completeThrough === null ? 'not all of them have any day' : `all through ${completeThrough}`}`
  yield `  validated: ${yesOrNo(validated)}${validated ? '' : '; some of it is held'}`
  yield `  final: ${yesOrNo(final)}; ${finalThrough === null ? 'nothing is' : `all through ${finalThrough}`}`
  if (days.doubtful > 0)
    yield `  ${plural(days.doubtful, 'day')} whose last commit was interrupted: what is there is whole, but may be of before or after it`
  for (const { client, from, to } of missing)
    yield `  missing: ${client}, ${from === null ? `everything through ${to}` : windowText({ from, to })}`
  for (const { client, code, ...window } of held) yield `  held: ${client}, ${windowText(window)}: ${code}`
  if (!ready && nextExpectedAt !== null) yield `  next expected: ${nextExpectedAt}`
}

function yesOrNo(fact: boolean): string {
  return fact ? 'yes' : 'no'
}
