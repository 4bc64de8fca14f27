import { Option } from 'commander'
import { check } from './commands/check.ts'
import { backfillCommand, daemonCommand } from './commands/define.ts'
import { describe } from './commands/describe.ts'
import { findings } from './commands/findings.ts'
import { consentGrant, forgetGrant, importGrant, listGrants, rekeyGrants } from './commands/grants.ts'
import { common, list, wholeNumber } from './commands/options.ts'
import { plan } from './commands/plan.ts'
import { ready } from './commands/ready.ts'
import { rejects } from './commands/rejects.ts'
import { report } from './commands/report.ts'
import { approve, retry } from './commands/revive.ts'
import { status } from './commands/status.ts'
import { verify } from './commands/verify.ts'
import { createProgram } from './run.ts'

/** `headrace` with all of its commands. */
export const program = createProgram('headrace', 'Pulls paginated API records for many clients into declared warehouse tables.')

common(program.command('check'))
  .description('load the configuration, open the ledger, and compare every table with its declaration')
  .option('--apply', 'add declared nullable columns that are missing, and let columns be null that are declared so; nothing else')
  .addOption(
    new Option('--live', 'try everything headrace relies on, on throw-away tables of the real BigQuery').conflicts('apply'),
  )
  .option('--dataset <name>', 'the dataset for the tables of --live; one that nobody uses')
  .action(check)
common(program.command('plan'))
  .description('what is due now, or what a backfill would read; why, and what it will take; reads nothing')
  .option('--pipeline <name>', 'only this pipeline')
  .option('--clients <a,b>', 'only these clients', list)
  .option('--at <instant>', 'what would be due then, as things are now')
  .option('--from <day>', 'first day of a backfill, YYYY-MM-DD')
  .option('--to <day>', 'last day of a backfill, YYYY-MM-DD')
  .option('--missing', 'of a backfill only days that were never published')
  .action(plan)
backfillCommand(program.command('backfill')).description('read a window of days and publish it; goes on where it was killed')
daemonCommand(program.command('daemon')).description(
  'read what is due by the schedules of the pipelines, until it is told to stop',
)
common(program.command('status'))
  .description('through which day the data of each client is complete, gaps, and what waits for somebody')
  .option('--pipeline <name>', 'only this pipeline')
  .option('--clients <a,b>', 'only these clients', list)
  .action(status)
common(program.command('findings'))
  .description('what is wrong with the data now, since when, and what to do')
  .option('--pipeline <name>', 'only this pipeline')
  .action(findings)
common(program.command('report'))
  .description('what became of a week: what is there, late, changed and rejected, what it took, and what to fix')
  .option('--week <week>', 'which one, as in ISO 8601: 2026-W47; the last that is over when it is left out')
  .option('--from <day>', 'first day of another time, at most 31 days')
  .option('--to <day>', 'its last day')
  .option('--html <file>', 'write it as a page into this file too')
  .action(report)
common(program.command('ready <table>'))
  .description('whether a table is complete, validated and final through a day; ends with 1 when it cannot be relied on')
  .requiredOption('--through <day>', 'the last day that is needed')
  .option('--client <name>', 'whose rows; all clients when it is left out')
  .action(ready)
for (const [word, action, description] of [
  ['approve', approve, 'publish a held chunk whatever it is held for; the daemon reads it again'],
  ['retry', retry, 'give a chunk that is held, failed or parked another chance; the daemon reads it again'],
] as const) {
  common(program.command(word))
    .description(description)
    .option('--pipeline <name>', 'which pipeline; may be left out when there is one')
    .requiredOption('--client <name>', 'whose chunk')
    .requiredOption('--from <day>', 'its first day, YYYY-MM-DD')
    .action(action)
}
common(program.command('verify'))
  .description('recount the warehouse against the ledger, and say what differs')
  .option('--pipeline <name>', 'only this pipeline')
  .option('--clients <a,b>', 'only these clients', list)
  .action(verify)
common(program.command('rejects'))
  .description('rows that were refused, with rule, value and record')
  .option('--pipeline <name>', 'only this pipeline')
  .option('--clients <a,b>', 'only these clients', list)
  .option('--from <day>', 'first day')
  .option('--to <day>', 'last day')
  .option('--limit <n>', 'how many at most', wholeNumber(1, 1_000_000), 20)
  .action(rejects)
common(program.command('describe'))
  .description('pipelines as documentation: every column, where it comes from, what is demanded of it')
  .option('--pipeline <name>', 'only this pipeline')
  .action(describe)

const grants = program.command('grants').description('what accounts have granted to headrace: the OAuth tokens in the ledger')
common(grants.command('list')).description('how every grant stands and when it ends; never a token').action(listGrants)
common(grants.command('import <grant>'))
  .description('bring a refresh token in, from standard input or a file')
  .option('--file <file>', 'read it from this file')
  .action(importGrant)
common(grants.command('consent <grant>'))
  .description('have somebody consent, by device or in a browser of this machine')
  .action(consentGrant)
common(grants.command('rekey')).description('encrypt all tokens with the newest key of HEADRACE_GRANT_KEY').action(rekeyGrants)
common(grants.command('forget <grant>')).description('remove a grant from the ledger').action(forgetGrant)
