import type { Command } from 'commander'
import { OPTIONS } from '../../lib/index.ts'
import { backfill } from './backfill.ts'
import { daemon } from './daemon.ts'
import { common, gateway, list, logLevel, shard, wholeNumber } from './options.ts'

/** Turns a command into a backfill: `headrace backfill` and `headrace-backfill` are the same. */
export function backfillCommand(command: Command): Command {
  return common(command)
    .option('--pipeline <name>', 'which pipeline; may be left out when there is one')
    .requiredOption('--from <day>', 'first day, YYYY-MM-DD')
    .requiredOption('--to <day>', 'last day, YYYY-MM-DD')
    .option('--clients <a,b>', 'only these clients', list)
    .option('--missing', 'only days that were never published')
    .option('--shard <i/n>', 'only the i-th of n parts, from 0; all n together are everything', shard)
    .option(
      '--shards <n>',
      'which of n parts says JOB_COMPLETION_INDEX, as in an Indexed Job of Kubernetes',
      wholeNumber(1, 999_999),
    )
    .option('--same-host', 'all parts run on this host, and may share a ledger in a file')
    .option('--concurrency <n>', 'chunks read at the same time', wholeNumber(1, OPTIONS.concurrency.max))
    .option('--dry-run', 'show what would be read, and read nothing')
    .option('--force', 'publish what the API says now: no comparison with what is there, no guard on volume or emptiness')
    .option(
      '--metrics-port <n>',
      'serve Prometheus metrics on this port while it runs; 0 takes any that is free',
      wholeNumber(0, 65_535),
    )
    .option('--metrics-host <address>', 'where that port is; 0.0.0.0 lets other hosts reach it', '127.0.0.1')
    .option('--push <url>', 'push Prometheus metrics to this Pushgateway while it runs', gateway)
    .addOption(logLevel('silent'))
    .action(backfill)
}

/** Turns a command into a daemon: `headrace daemon` and `headrace-daemon` are the same. */
export function daemonCommand(command: Command): Command {
  return common(command)
    .option('--host <address>', 'where it answers; 0.0.0.0 lets other hosts reach it', '127.0.0.1')
    .option('--port <n>', 'on which port; 0 takes any that is free', wholeNumber(0, 65_535), 9_464)
    .addOption(logLevel('info'))
    .action(daemon)
}
