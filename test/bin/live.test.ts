import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LIVE_CHECKS } from '../../lib/testing/live/checks.ts'
import { OBSERVATIONS } from '../../lib/testing/live/observations.ts'
import { type BigQueryServer, startBigQuery } from '../servers/bigquery/server.ts'
import { run, start } from './cli.ts'
import { project } from './project.ts'

// The whole contract of a warehouse, some fifty checks.
t.setTimeout(240_000)

const lib = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url).href)

async function onServer(t: Test): Promise<{ server: BigQueryServer; args: readonly string[]; folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const server = await startBigQuery()
  t.teardown(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const config = join(folder, 'headrace.config.ts')
  const { project: id, location, url } = server
  writeFileSync(
    config,
    `
import { bigquery, defineConfig, defineConnector, definePipeline, sqlite } from ${lib('lib/index.ts')}
import { client, day } from ${lib('lib/mapping.ts')}
import { date, defineTable, string } from ${lib('lib/table.ts')}

export default defineConfig({
  pipelines: [
    definePipeline({
      name: 'visits',
      source: defineConnector<{ readonly date: string }>({ name: 'visits', async *pages() {} }),
      table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
      map: { client_id: client(), date: day('date') },
    }),
  ],
  clients: ['a'],
  warehouse: bigquery({ project: '${id}', location: '${location}', apiEndpoint: '${url}', retrySeconds: 0.01 }),
  ledger: sqlite({ path: ${JSON.stringify(join(folder, 'ledger.sqlite'))} }),
})
`,
  )
  return { server, folder, args: ['check', '--config', config, '--live'] }
}

async function tables({ query }: BigQueryServer): Promise<string[]> {
  const rows = await query("SELECT table_name FROM duckdb_tables() WHERE schema_name <> '_buffer'")
  return rows.map(row => String(row.table_name))
}

t.test('every check holds on the local server, every point is looked at, and nothing is left', async t => {
  const { server, folder, args } = await onServer(t)
  const ran = await run([...args, '--dataset', 'scratch', '--json'], { cwd: folder })
  t.equal(ran.code, 0, ran.stderr)
  const { checks, observations, left } = ran.json() as {
    checks: { problem: string | null }[]
    observations: { point: string; saw: string }[]
    left: string[]
  }
  t.same(
    checks.filter(({ problem }) => problem !== null),
    [],
  )
  t.equal(checks.length, LIVE_CHECKS.length)
  t.ok(LIVE_CHECKS.length >= 40)
  t.same(
    observations.map(({ point }) => point),
    OBSERVATIONS.map(({ point }) => point),
  )
  t.same(
    observations.filter(({ saw }) => saw === '' || saw.startsWith('could not be')),
    [],
  )
  t.same(left, [])
  t.same(await tables(server), [])
})

t.test('a signal ends it with 130, a table of what was seen so far, and nothing left', async t => {
  const { server, folder, args } = await onServer(t)
  const running = start([...args, '--dataset', 'scratch'], { cwd: folder })
  t.teardown(() => void running.process.kill('SIGKILL'))
  await running.said(/^3\/\d+ holds/m)
  running.process.kill('SIGINT')
  const ran = await running.ended
  t.equal(ran.code, 130, ran.stderr)
  t.match(ran.stdout, /took +what must hold\nholds +\d.* s +a table is created once/)
  t.match(ran.stdout, /Interrupted: the others were not looked at\.\nEverything that was made is removed\.\n$/)
  t.same(await tables(server), [])
})

t.test('a dataset that is in use, or none, or another warehouse, is refused before anything is asked', async t => {
  const { server, folder, args } = await onServer(t)
  const { headrace } = await project(t)
  const [staging, target, none, odd, duck, alone, both] = await Promise.all([
    run([...args, '--dataset', 'headrace_staging'], { cwd: folder }),
    run([...args, '--dataset', 'WEB'], { cwd: folder }),
    run(args, { cwd: folder }),
    run([...args, '--dataset', 'a.b'], { cwd: folder }),
    headrace('check', '--live', '--dataset', 'scratch'),
    headrace('check', '--dataset', 'scratch'),
    headrace('check', '--live', '--apply', '--dataset', 'scratch'),
  ])
  for (const [ran, text] of [
    [staging, /^USAGE: --dataset headrace_staging is one that the configuration uses/],
    [target, /^USAGE: --dataset WEB is one that/],
    [none, /^USAGE: --live needs the name of a dataset/],
    [odd, /^USAGE: --live needs the name of a dataset with --dataset, not a\.b/],
    [duck, /^USAGE: check --live is for BigQuery, and the warehouse is duckdb/],
    [alone, /^USAGE: --dataset is for --live/],
    [both, /^USAGE: .*--live.*cannot be used with.*--apply/],
  ] as const) {
    t.equal(ran.code, 2)
    t.match(ran.stderr, text)
  }
  t.equal(server.log.length, 0)
})
