import { equal } from 'node:assert/strict'
import t, { type Test } from 'tap'
import { CONFORMANCE_TABLE, conformanceRow } from '../../lib/testing/case.ts'
import { LIVE_CHECKS, type LiveCheck } from '../../lib/testing/live/checks.ts'
import type { Observation } from '../../lib/testing/live/observations.ts'
import { runLive } from '../../lib/testing/live/run.ts'
import { Scratch } from '../../lib/testing/live/scratch.ts'
import { stageDraft, undisturbed } from '../../lib/testing/stage.ts'
import { settingsOf } from '../../lib/warehouse/bigquery/options.ts'
import { type BigQueryServer, startBigQuery } from '../servers/bigquery/server.ts'

const [, first] = LIVE_CHECKS
if (first === undefined) throw new Error('there is nothing to check')

async function opened(t: Test, stop = new AbortController()): Promise<{ server: BigQueryServer; scratch: Scratch }> {
  const server = await startBigQuery()
  t.teardown(() => server.close())
  const { project, location, url: apiEndpoint } = server
  const settings = settingsOf({ project, location, apiEndpoint, retrySeconds: 0.005, tries: 3 }, {})
  return { server, scratch: await Scratch.open(settings, 'scratch', stop.signal) }
}

async function datasets({ url, project }: BigQueryServer): Promise<string[]> {
  const answer = await fetch(`${url}/bigquery/v2/projects/${project}/datasets`)
  const found: { datasets?: { datasetReference: { datasetId: string } }[] } = JSON.parse(await answer.text())
  return (found.datasets ?? []).map(({ datasetReference }) => datasetReference.datasetId)
}

async function tables(server: BigQueryServer): Promise<string[]> {
  const rows = await server.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'scratch' ORDER BY 1")
  return rows.map(row => String(row.table_name))
}

/** Makes every kind of table there is, and leaves them. */
const untidy: LiveCheck = {
  title: 'untidy',
  run: async scratch => {
    for (const staging of ['load', 'insert-all'] as const) {
      const { warehouse } = await scratch.host({ staging })
      await warehouse.prepare(CONFORMANCE_TABLE, { create: true }, undisturbed)
      const rows = [conformanceRow('a', '2026-01-01', 'x')]
      await stageDraft(warehouse, CONFORMANCE_TABLE, { client: 'a', from: '2026-01-01', rows })
    }
    equal(1, 2, 'it does not add up')
  },
}

const blind: Observation = {
  point: 'blind',
  see: async scratch => {
    await scratch.ask('SELECT nothing FROM nowhere')
    return 'a sight'
  },
}

const sight: Observation = { point: 'sight', see: async () => 'a sight' }

t.test('a check that does not hold stops nothing, and everything that was made is removed', async t => {
  const { server, scratch } = await opened(t)
  const lines: string[] = []
  const plan = { checks: [untidy, first], observations: [blind, sight] }
  const result = await runLive(scratch, plan, line => lines.push(line))
  t.match(result, {
    checks: [
      { title: 'untidy', problem: /it does not add up/ },
      { title: first.title, problem: null },
    ],
    observations: [
      { point: 'blind', saw: /^could not be looked at: / },
      { point: 'sight', saw: 'a sight' },
    ],
    interrupted: false,
    left: [],
  })
  t.match(lines, [/^1\/4 DOES NOT HOLD: untidy/, /^2\/4 holds/, /^3\/4 seen: blind/, /^4\/4 seen: sight/])
  t.same(await datasets(server), [], 'the dataset, too')
})

t.test('what was in the dataset before stays', async t => {
  const server = await startBigQuery()
  t.teardown(() => server.close())
  const { project, location, url: apiEndpoint } = server
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(`${apiEndpoint}/bigquery/v2/projects/${project}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json' },
    })
  await post('/datasets', { datasetReference: { projectId: project, datasetId: 'scratch' }, location })
  await post('/datasets/scratch/tables', {
    tableReference: { projectId: project, datasetId: 'scratch', tableId: 'somebodys' },
    schema: { fields: [{ name: 'a', type: 'STRING' }] },
  })
  const settings = settingsOf({ project, location, apiEndpoint, retrySeconds: 0.005 }, {})
  const scratch = await Scratch.open(settings, 'scratch', new AbortController().signal)
  await runLive(scratch, { checks: [untidy], observations: [] }, () => undefined)
  t.same(await tables(server), ['somebodys'])
})

t.test('a mistake in the set-up ends it at once, with the tables removed', async t => {
  const { server, scratch } = await opened(t)
  server.faults.add({
    on: 'jobs.insert',
    effect: { kind: 'error', reason: 'accessDenied', message: 'User does not have bigquery.jobs.create permission' },
    times: 100,
  })
  const plan = { checks: [...LIVE_CHECKS.slice(2, 5)], observations: [sight] }
  await t.rejects(
    runLive(scratch, plan, () => undefined),
    { code: 'WAREHOUSE_UNUSABLE', hint: /BigQuery Job User/ },
  )
  t.same(await datasets(server), [])
})

t.test('what cannot be removed is named', async t => {
  const { server, scratch } = await opened(t)
  server.faults.add({ on: 'tables.delete', effect: { kind: 'error', reason: 'accessDenied' }, table: '_slices', times: 100 })
  const { left } = await runLive(scratch, { checks: [untidy], observations: [] }, () => undefined)
  t.equal(left.length, 2)
  t.match(left[0], /^headrace_live_.*_slices$/)
  t.same(await tables(server), [...left])
})

t.test('a signal ends the check that is under way, and everything that was made is removed', async t => {
  const stop = new AbortController()
  const { server, scratch } = await opened(t, stop)
  const stopped: LiveCheck = {
    title: 'stopped',
    run: async it => {
      const { warehouse } = await it.host()
      await warehouse.prepare(CONFORMANCE_TABLE, { create: true }, undisturbed)
      stop.abort()
      await warehouse.clients(CONFORMANCE_TABLE, undisturbed)
      throw new Error('it was not ended')
    },
  }
  const result = await runLive(scratch, { checks: [first, stopped, untidy], observations: [sight] }, () => undefined)
  t.match(result, { checks: [{ title: first.title }], observations: [], interrupted: true, left: [] })
  t.equal(result.checks.length, 1)
  t.same(await datasets(server), [])
})
