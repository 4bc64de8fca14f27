import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { backfill, createLog, DataError, defineConfig, sqlite, TransientError } from '../../lib/index.ts'
import { VERSION } from '../../lib/version.ts'
import { AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { type RunOptions, run } from '../support/run.ts'
import { openBigQuery } from '../warehouse-bigquery/hosts.ts'
import { attemptsIn, eventsIn, valid } from './events.ts'

const DAY = { from: '2026-03-01', to: '2026-03-01' }

/** A folder, what the API says, and a backfill that tells a file; `told` gives what was told since it was last asked. */
function story(t: Test, options: Partial<RunOptions> = {}) {
  const folder = t.testdir()
  const api = new AdsApi()
  const file = join(folder, 'lineage.jsonl')
  let seen = 0
  return {
    folder,
    api,
    run: (more: Partial<RunOptions> = {}) =>
      run({ folder, ...DAY, clients: ['a'], pipeline: adsPipeline(api.connector(10)), lineage: { file }, ...options, ...more }),
    told: () => {
      const events = eventsIn(file)
      const since = events.slice(seen)
      seen = events.length
      valid(t, since)
      return since
    },
  }
}

t.test(
  'a published chunk is told as it begins and as it ends: what was read, what was written, and what of it came from where',
  async t => {
    const { folder, api, run, told } = story(t)
    api.set('a', '2026-03-01', [
      { ...ad('a', '2026-03-01', '1', 3, '1250000'), campaign: { id: '1', name: null } },
      ad('a', '2026-03-01', '2', 5, '2000000'),
    ])
    const { exitCode, run: began } = await run({ lineage: { file: join(folder, 'lineage.jsonl'), namespace: 'staging' } })
    t.equal(exitCode, 0)
    const events = told()
    t.strictSame(attemptsIn(events), ['START COMPLETE'])
    const [start, end] = events
    const fields = ['account', 'date', 'campaign.id', 'campaign.name', 'metrics.clicks', 'metrics.costMicros']
    const api1 = { namespace: 'api', name: 'ads', facets: { schema: { fields: fields.map(name => ({ name })) } } }
    t.match(start, {
      eventTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      producer: `pkg:npm/headrace@${VERSION}`,
      run: {
        facets: {
          parent: { run: { runId: began.id }, job: { namespace: 'staging', name: 'campaigns' } },
          nominalTime: { nominalStartTime: '2026-03-01T00:00:00Z', nominalEndTime: '2026-03-02T00:00:00Z' },
          processing_engine: { name: 'headrace', version: VERSION },
          tags: {
            tags: [
              { key: 'client', value: 'a' },
              { key: 'attempt', value: '1' },
            ],
          },
        },
      },
      job: {
        namespace: 'staging',
        name: 'campaigns.chunk',
        facets: { jobType: { processingType: 'BATCH', integration: 'HEADRACE' } },
      },
      inputs: [api1],
    })
    t.match(end, {
      run: { facets: { tags: { tags: [{}, {}, { key: 'state', value: 'published' }] } } },
      inputs: [
        {
          ...api1,
          inputFacets: {
            dataQualityAssertions: {
              assertions: [
                { assertion: 'balance', success: true, severity: 'error' },
                { assertion: 'rejects', success: true, expected: 'at most 0.01', actual: '0' },
                { assertion: 'unique', success: true },
              ],
            },
          },
        },
      ],
      outputs: [
        {
          namespace: `duckdb://${folder}/warehouse.duckdb`,
          name: 'warehouse.ads.campaigns',
          facets: {
            schema: {
              fields: [
                { name: 'client_id', type: 'STRING' },
                { name: 'date', type: 'DATE' },
                {},
                {},
                {},
                { name: 'cost', type: 'NUMERIC' },
              ],
            },
            dataQualityMetrics: {
              rowCount: 2,
              columnMetrics: {
                name: { nullCount: 1 },
                clicks: { min: 3, max: 5, sum: 8 },
                cost: { min: 1.25, max: 2, sum: 3.25 },
              },
            },
          },
          outputFacets: { outputStatistics: { rowCount: 2, size: Number } },
        },
      ],
    })
    const from = (field: string, subtype: string, description: string) => ({
      inputFields: [{ namespace: 'api', name: 'ads', field, transformations: [{ type: 'DIRECT', subtype, description }] }],
    })
    const { _producer, _schemaURL, ...columns } = Object(end?.outputs[0]?.facets.columnLineage)
    t.strictSame(columns, {
      fields: {
        client_id: from('account', 'IDENTITY', '`account`, must be the client of the chunk'),
        date: from('date', 'IDENTITY', '`date` as day'),
        campaign_id: from('campaign.id', 'IDENTITY', '`campaign.id` as text'),
        name: from('campaign.name', 'IDENTITY', '`campaign.name` as text'),
        clicks: from('metrics.clicks', 'IDENTITY', '`metrics.clicks` as integer'),
        cost: from('metrics.costMicros', 'TRANSFORMATION', '`metrics.costMicros` / 1,000,000, exact'),
      },
    })
  },
)

t.test('a chunk that is found unchanged has written nothing, and one that is restated what it replaced', async t => {
  const { api, run, told } = story(t)
  const first = ['1', '2', '3'].map(id => ad('a', '2026-03-01', id))
  api.set('a', '2026-03-01', first)
  await run()
  told()
  await run()
  const [, unchanged] = told()
  t.match(unchanged, { eventType: 'COMPLETE', run: { facets: { tags: { tags: [{}, {}, { value: 'unchanged' }] } } } })
  t.match(unchanged?.outputs, [
    { facets: { dataQualityMetrics: { rowCount: 3 } }, outputFacets: { outputStatistics: { rowCount: 0, size: 0 } } },
  ])
  api.set('a', '2026-03-01', [...first.slice(1), ad('a', '2026-03-01', '4', 9)])
  await run()
  const [, restated] = told()
  t.match(restated?.outputs, [
    { facets: { dataQualityMetrics: { rowCount: 3 } }, outputFacets: { outputStatistics: { rowCount: 3 } } },
  ])
  t.match(restated?.inputs, [
    { inputFacets: { dataQualityAssertions: { assertions: [{}, {}, { assertion: 'volume', success: true, actual: '1' }, {}] } } },
  ])
})

t.test('a chunk that is held has failed, with the check that holds it and the rules that were broken', async t => {
  const { api, run, told } = story(t)
  api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1'), ad('a', '2026-03-01', '2', -1)])
  t.equal((await run()).exitCode, 42)
  const events = told()
  t.strictSame(attemptsIn(events), ['START FAIL'])
  t.match(events[1]?.run.facets, {
    errorMessage: { message: /^REJECTS_TOO_MANY: .*1 of 2 records rejected/, programmingLanguage: 'JavaScript' },
    tags: { tags: [{}, {}, { key: 'state', value: 'held' }] },
  })
  t.match(events[1]?.inputs, [
    {
      inputFacets: {
        dataQualityAssertions: {
          assertions: [
            { assertion: 'balance', success: true },
            { assertion: 'rejects', success: false, expected: 'at most 0.01', actual: '0.5' },
            { assertion: 'minimum', success: false, severity: 'warn', actual: '1' },
          ],
        },
      },
    },
  ])
  t.notOk(events[1]?.outputs[0]?.outputFacets, 'nothing is said to be written')
})

t.test('every try is an attempt of its own, and what an API said in its error is told without what may be a secret', async t => {
  const { run, told } = story(t)
  const failing = {
    name: 'ads',
    pages: async function* () {
      yield []
      throw new TransientError('API_FAILED', { message: 'GET https://u:planted@api.example/x?key=planted with Bearer planted' })
    },
  }
  t.equal((await run({ pipeline: adsPipeline(failing), settings: { attempts: 2 } })).exitCode, 1)
  const events = told()
  t.strictSame(attemptsIn(events), ['START FAIL', 'START FAIL'])
  t.match(
    events.map(({ run: { facets } }) => facets.tags),
    [{}, { tags: [{}, { value: '1' }, { value: 'pending' }] }, {}, { tags: [{}, { value: '2' }, { value: 'failed' }] }],
  )
  t.match(events[1]?.run.facets.errorMessage, { message: 'API_FAILED: GET https://…@api.example/x?… with Bearer …' })
  t.notMatch(JSON.stringify(events), 'planted')
  t.notOk(events[1]?.inputs[0]?.inputFacets, 'no check was made')
})

t.test('an attempt that gives way to two halves, or that is told to stop, is given up and has not failed', async t => {
  const { api, run, told } = story(t)
  api.mostDays = 1
  for (const day of ['2026-03-01', '2026-03-02']) api.set('a', day, [ad('a', day, '1')])
  await run({ to: '2026-03-02', pipeline: adsPipeline(api.connector(10), { days: 2 }) })
  t.strictSame(attemptsIn(told()), ['START ABORT', 'START COMPLETE', 'START COMPLETE'])
  const abort = new AbortController()
  const stopped = {
    ...api.connector(10),
    pages: async function* () {
      yield []
      abort.abort()
      throw new TransientError('ABORTED', { message: 'stopped' })
    },
  }
  await run({ ...DAY, force: true, pipeline: adsPipeline(stopped), stop: abort.signal, abort: abort.signal })
  t.strictSame(attemptsIn(told()), ['START ABORT'])
})

t.test('a table in BigQuery is named as the specification says', async t => {
  const host = await openBigQuery()
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  const ledger = sqlite({ path: join(folder, 'ledger.sqlite') })
  t.teardown(async () => {
    await ledger.close()
    await host.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const file = join(folder, 'lineage.jsonl')
  const api = new AdsApi()
  api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1'), ad('a', '2026-03-01', '2')])
  const pipeline = adsPipeline(api.connector(10))
  const config = defineConfig({ pipelines: [pipeline], clients: ['a'], warehouse: host.warehouse, ledger, lineage: { file } })
  const never = new AbortController().signal
  await backfill(
    config,
    { pipeline, window: DAY, clients: ['a'] },
    { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: never, abort: never } },
  )
  const events = eventsIn(file)
  valid(t, events)
  t.strictSame(attemptsIn(events), ['START COMPLETE'])
  t.match(events[1]?.outputs, [
    {
      namespace: 'bigquery',
      name: `${host.server.project}.ads.campaigns`,
      outputFacets: { outputStatistics: { rowCount: 2 } },
    },
  ])
})

t.test('a guard on the volume is told with what it compared', async t => {
  const { api, run, told } = story(t)
  api.set(
    'a',
    '2026-03-01',
    ['1', '2', '3', '4'].map(id => ad('a', '2026-03-01', id)),
  )
  await run()
  told()
  api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1')])
  await run()
  t.match(told()[1]?.inputs, [
    {
      inputFacets: {
        dataQualityAssertions: {
          assertions: [{}, {}, { assertion: 'volume', success: false, expected: 'at least 0.5', actual: '0.25' }],
        },
      },
    },
  ])
})

t.test('an error that is no check of what the API gave says nothing about checks', async t => {
  const { run, told } = story(t)
  const broken = {
    name: 'ads',
    pages: async function* () {
      yield []
      throw new DataError('PAGES_ENDLESS', { message: 'more than 10 pages' })
    },
  }
  await run({ pipeline: adsPipeline(broken) })
  const [, end] = told()
  t.match(end, { eventType: 'FAIL', run: { facets: { errorMessage: { message: 'PAGES_ENDLESS: more than 10 pages' } } } })
  t.notOk(end?.inputs[0]?.inputFacets)
})
