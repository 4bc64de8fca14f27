import { hostname, userInfo } from 'node:os'
import { chunkText, isDay } from '../../lib/chunk.ts'
import { findPipeline } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import { revive } from '../../lib/standing/operate.ts'
import { output } from '../output.ts'
import { withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'
import { ALL } from './status.ts'

/** Which chunk is meant: as `headrace status` names it. */
export interface ChunkOptions extends CommonOptions {
  readonly pipeline?: string
  readonly client: string
  readonly from: string
}

/** `headrace approve`: publishes a held chunk whatever it is held for. */
export const approve = (options: ChunkOptions): Promise<void> => act('approve', options)

/** `headrace retry`: gives a chunk that is held, failed or parked another chance. */
export const retry = (options: ChunkOptions): Promise<void> => act('retry', options)

async function act(
  action: 'approve' | 'retry',
  { config: file, pipeline: name, client, from, json }: ChunkOptions,
): Promise<void> {
  if (!isDay(from)) throw new ConfigError('USAGE', { message: `--from ${from} is not a day`, hint: 'Write days as YYYY-MM-DD.' })
  await withConfig(file, async config => {
    const pipeline = findPipeline(config, name)
    const problems = await config.ledger.problems(pipeline.name, undefined, ALL)
    const found = problems.find(({ chunk }) => chunk.client === client && chunk.window.from === from)
    const who = `${userInfo().username} on ${hostname()}`
    const revived = found === undefined ? undefined : await revive(action, [found.runId, client, from], who, config.ledger)
    if (revived?.done !== true) {
      const what = `${pipeline.name}: no chunk of ${client} that begins on ${from} ${action === 'approve' ? 'is held' : 'needs another chance'}`
      throw new ConfigError('USAGE', {
        message: what,
        hint: '`headrace status` lists what waits for somebody. Nothing was changed.',
      })
    }
    const { chunk, runId } = revived.chunk
    if (json) output.json({ command: action, run: runId, pipeline: pipeline.name, client, ...chunk.window })
    else output.line(`${chunkText(chunk)}: the daemon reads it again${action === 'approve' ? ', and publishes what comes' : ''}`)
  })
}
