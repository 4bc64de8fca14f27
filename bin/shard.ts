import type { Config } from '../lib/config.ts'
import { ConfigError } from '../lib/errors.ts'
import { parseShard, type Shard, shardText } from '../lib/plan/shard.ts'

/** What a backfill is told about shards. */
export interface ShardOptions {
  readonly shard?: Shard
  /** Of how many this is one, where Kubernetes says which. */
  readonly shards?: number
}

/** The whole of it. */
const ALL: Shard = { index: 0, count: 1 }

/** Which shard this process is: as it was told, or as Cloud Run or an Indexed Job of Kubernetes say. */
export function shardOf({ shard, shards }: ShardOptions, env: Readonly<Record<string, string | undefined>>): Shard {
  if (shard !== undefined && shards !== undefined) throw usage('--shard and --shards exclude each other')
  if (shard !== undefined) return shard
  if (shards !== undefined) return fromEnvironment(env, 'JOB_COMPLETION_INDEX', String(shards))
  const { CLOUD_RUN_TASK_INDEX, CLOUD_RUN_TASK_COUNT } = env
  if (CLOUD_RUN_TASK_INDEX === undefined && CLOUD_RUN_TASK_COUNT === undefined) return ALL
  return fromEnvironment(env, 'CLOUD_RUN_TASK_INDEX', CLOUD_RUN_TASK_COUNT)
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>, name: string, count: string | undefined): Shard {
  const shard = parseShard(`${env[name]}/${count}`)
  if (shard !== undefined) return shard
  const many = count === undefined ? 'nobody says how many shards there are' : `there are ${count} shards: it counts them from 0`
  throw usage(`${name} is ${env[name] ?? 'not set'}, and ${many}`)
}

/** Several shards need a ledger that all of them reach; whether they reach the warehouse, such a ledger finds out. */
export function checkShard(shard: Shard, { ledger }: Config, sameHost: boolean): void {
  if (shard.count === 1 || sameHost || ledger.keepHome !== undefined) return
  throw usage(
    `shard ${shardText(shard)}, but the ledger is a file, and on several hosts each shard would have one of its own`,
    'Use postgres({ url }), or say --same-host when all shards run on this one.',
  )
}

function usage(message: string, hint = '--help shows what there is.'): ConfigError {
  return new ConfigError('USAGE', { message, hint: `${hint} Nothing was read or written.` })
}
