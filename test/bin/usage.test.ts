import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { run } from './cli.ts'
import { MAY, project } from './project.ts'

t.test('wrong usage ends with 2, names the option and the value, and reads nothing', async t => {
  const { headrace, api } = await project(t)
  const mistakes: readonly (readonly [args: readonly string[], says: string | RegExp])[] = [
    [['backfill', ...MAY, '--form', 'x'], "unknown option '--form' (Did you mean --from?)"],
    [['backfill', '--to', '2025-05-03'], "required option '--from <day>' not specified"],
    [['backfill', ...MAY, '--clients'], "option '--clients <a,b>' argument missing"],
    [['backfill', '--from', 'yesterday', '--to', '2025-05-03'], '--from yesterday is not a day'],
    [['backfill', '--from', '2025-05-01', '--to', '2025-02-30'], '--to 2025-02-30 is not a day'],
    [['backfill', '--from', '2025-05-03', '--to', '2025-05-01'], '--to 2025-05-01 is before --from 2025-05-03'],
    [['backfill', ...MAY, '--clients', 'acme,inittech'], '--clients inittech: not among the 2 clients of the configuration'],
    [['backfill', ...MAY, '--clients', ' , '], "option '--clients <a,b>' argument ' , ' is invalid. It names nobody."],
    [['backfill', ...MAY, '--pipeline', 'orders'], 'there is no pipeline orders, only ads'],
    [['backfill', ...MAY, '--concurrency', '0'], "argument '0' is invalid. It must be a whole number from 1 to 64."],
    [['backfill', ...MAY, '--concurrency', '65'], "argument '65' is invalid. It must be a whole number from 1 to 64."],
    [['backfill', ...MAY, '--concurrency', '1.5'], "argument '1.5' is invalid."],
    [['backfill', ...MAY, '--metrics-port', '65536'], 'It must be a whole number from 0 to 65,535.'],
    [['backfill', ...MAY, '--log-level', 'loud'], 'Allowed choices are silent, error, warn, info, debug.'],
    [['backfill', ...MAY, 'extra'], /too many arguments for 'backfill'/],
    [['backfill', '--from', '2025-05-01'], "required option '--to <day>' not specified"],
    [['rejects', '--from', '05/01/2025'], '--from 05/01/2025 is not a day'],
    [['rejects', '--limit', '0'], 'It must be a whole number from 1 to 1,000,000.'],
    [['status', '--pipeline', 'orders'], 'there is no pipeline orders, only ads'],
    [['verify', '--clients', 'inittech'], '--clients inittech: neither the ledger nor the warehouse knows them'],
    [['descibe'], "unknown command 'descibe' (Did you mean describe?)"],
  ]
  const ran = await Promise.all(mistakes.map(([args]) => headrace(...args)))
  for (const [index, [args, says]] of mistakes.entries()) {
    const name = args.join(' ')
    t.equal(ran[index]?.code, 2, name)
    t.equal(ran[index]?.stdout, '', name)
    t.match(ran[index]?.stderr, /^USAGE: .+\n {2}\S/, name)
    t.match(ran[index]?.stderr, says, name)
  }
  t.equal(api.asked.length, 0)
})

t.test('a pipeline has to be named when there are two', async t => {
  const { headrace } = await project(t, {
    before:
      "const orders = definePipeline({ ...options, name: 'orders', table: defineTable('shop.orders', columns, { partitionBy: 'date' }) })",
    pipelines: '[ads, orders]',
  })
  const [which, named] = await Promise.all([
    headrace('plan', ...MAY),
    headrace('plan', ...MAY, '--pipeline', 'orders', '--clients', 'acme'),
  ])
  t.equal(which.code, 2)
  t.match(which.stderr, 'USAGE: which pipeline? There are ads, orders')
  t.equal(named.code, 0)
  t.match(named.stdout, 'orders, 2025-05-01..2025-05-03, 1 client: 3 chunks due')
})

t.test('with --json a mistake is one document too', async t => {
  const { headrace } = await project(t)
  const [option, day] = await Promise.all([
    headrace('status', '--json', '--form'),
    headrace('plan', '--json', '--from', 'x', '--to', 'y'),
  ])
  t.equal(option.code, 2)
  t.match(option.json(), { error: { code: 'USAGE', message: "unknown option '--form'" } })
  t.equal(day.code, 2)
  t.match(day.json(), { error: { code: 'USAGE', message: '--from x is not a day' } })
})

t.test('help and version are results, and end with 0', async t => {
  const [help, command, version, nothing, alone] = await Promise.all([
    run(['--help']),
    run(['backfill', '--help']),
    run(['--version']),
    run([]),
    run(['--help'], { bin: 'backfill' }),
  ])
  t.equal(help.code, 0)
  for (const name of ['check', 'plan', 'backfill', 'status', 'verify', 'rejects', 'describe'])
    t.match(help.stdout, `\n  ${name} `)
  t.equal(command.code, 0)
  for (const option of [
    '--pipeline',
    '--from',
    '--to',
    '--clients',
    '--concurrency',
    '--dry-run',
    '--force',
    '--missing',
    '--json',
  ]) {
    t.match(command.stdout, option)
  }
  t.same([version.code, version.stdout], [0, `${manifest.version}\n`])
  t.equal(nothing.code, 2)
  t.match(nothing.stderr, /^Usage: headrace/)
  t.equal(alone.code, 0)
  t.match(alone.stdout, /^Usage: headrace-backfill \[options\]/)
})

t.test('the configuration is the one named, else HEADRACE_CONFIG, else headrace.config.ts where headrace runs', async t => {
  const { folder, config } = await project(t)
  const elsewhere = join(folder, 'elsewhere')
  await mkdir(elsewhere)
  await writeFile(join(elsewhere, 'broken.ts'), "throw new Error('this one')")
  const [beside, environment, named, none] = await Promise.all([
    run(['check'], { cwd: folder }),
    run(['check'], { cwd: elsewhere, env: { HEADRACE_CONFIG: config } }),
    run(['check', '--config', 'broken.ts'], { cwd: elsewhere, env: { HEADRACE_CONFIG: config } }),
    run(['check'], { cwd: elsewhere }),
  ])
  t.equal(beside.code, 0)
  t.equal(environment.code, 0)
  t.equal(named.code, 2)
  t.match(named.stderr, 'this one')
  t.equal(none.code, 2)
  t.match(none.stderr, `CONFIG_NOT_FOUND: there is no configuration ${join(elsewhere, 'headrace.config.ts')}`)
})

t.test('headrace-backfill is headrace backfill', async t => {
  const { folder } = await project(t)
  const ran = await run([...MAY, '--json'], { cwd: folder, bin: 'backfill' })
  t.equal(ran.code, 0)
  t.match(ran.json(), { command: 'backfill', exitCode: 0, states: { published: { chunks: 6 } } })
})

t.test('names in --clients are separated by commas, and one that holds a comma stands in quotes', async t => {
  const { headrace } = await project(t, { clients: `['acme', 'Smith, Jones & Co', 'say "hi"', 'two words']` })
  const planned = await headrace('plan', ...MAY, '--json', '--clients', 'acme, "Smith, Jones & Co","say ""hi""",two words')
  t.equal(planned.code, 0)
  const { chunks } = planned.json() as { chunks: { client: string }[] }
  t.same([...new Set(chunks.map(({ client }) => client))], ['acme', 'Smith, Jones & Co', 'say "hi"', 'two words'])
})
