import t from 'tap'
import { VERSION } from '../../lib/version.ts'
import { attemptsIn } from './events.ts'
import { abandoned, broken, diverged, failed, held, inBigQuery, published, restated, shrunk } from './scenarios.ts'

t.test(
  'a published chunk is told as it begins and as it ends: what was read, what was written, and what of it came from where',
  async t => {
    const folder = t.testdir()
    const { result, events } = await published(folder)
    t.equal(result.exitCode, 0)
    t.strictSame(attemptsIn(events), ['START COMPLETE'])
    const [start, end] = events
    const fields = ['account', 'date', 'campaign.id', 'campaign.name', 'metrics.clicks', 'metrics.costMicros']
    const api1 = { namespace: 'api', name: 'ads', facets: { schema: { fields: fields.map(name => ({ name })) } } }
    t.match(start, {
      eventTime: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      producer: `pkg:npm/headrace@${VERSION}`,
      run: {
        facets: {
          parent: { run: { runId: result.run.id }, job: { namespace: 'staging', name: 'campaigns' } },
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
        facets: {
          jobType: { processingType: 'BATCH', integration: 'HEADRACE' },
          documentation: { description: 'what campaigns cost' },
        },
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
  const { same, other } = await restated(t.testdir())
  const [, unchanged] = same.events
  t.match(unchanged, { eventType: 'COMPLETE', run: { facets: { tags: { tags: [{}, {}, { value: 'unchanged' }] } } } })
  t.match(unchanged?.outputs, [
    { facets: { dataQualityMetrics: { rowCount: 3 } }, outputFacets: { outputStatistics: { rowCount: 0, size: 0 } } },
  ])
  const [, replaced] = other.events
  t.match(replaced?.outputs, [
    { facets: { dataQualityMetrics: { rowCount: 3 } }, outputFacets: { outputStatistics: { rowCount: 3 } } },
  ])
  t.match(replaced?.inputs, [
    { inputFacets: { dataQualityAssertions: { assertions: [{}, {}, { assertion: 'volume', success: true, actual: '1' }, {}] } } },
  ])
})

t.test('a chunk that is held has failed, with the check that holds it and the rules that were broken', async t => {
  const { result, events } = await held(t.testdir())
  t.equal(result.exitCode, 42)
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
  const { result, events } = await failed(t.testdir())
  t.equal(result.exitCode, 1)
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
  const { halved, stopped } = await abandoned(t.testdir())
  t.strictSame(attemptsIn(halved.events), ['START ABORT', 'START COMPLETE', 'START COMPLETE'])
  t.strictSame(attemptsIn(stopped.events), ['START ABORT'])
})

t.test('a table in BigQuery is named as the specification says', async t => {
  const { events, project } = await inBigQuery(t.testdir())
  t.strictSame(attemptsIn(events), ['START COMPLETE'])
  t.match(events[1]?.outputs, [
    {
      namespace: 'bigquery',
      name: `${project}.ads.campaigns`,
      outputFacets: { outputStatistics: { rowCount: 2 } },
    },
  ])
})

t.test('a guard on the volume is told with what it compared', async t => {
  const { events } = await shrunk(t.testdir())
  t.match(events[1]?.inputs, [
    {
      inputFacets: {
        dataQualityAssertions: {
          assertions: [{}, {}, { assertion: 'volume', success: false, expected: 'at least 0.5', actual: '0.25' }],
        },
      },
    },
  ])
})

t.test('a sum that the API states itself is told with the column it is of', async t => {
  const { events } = await diverged(t.testdir())
  t.match(events[1], { eventType: 'FAIL', run: { facets: { errorMessage: { message: /^SOURCE_DIVERGED: / } } } })
  t.match(events[1]?.inputs, [
    {
      inputFacets: {
        dataQualityAssertions: {
          assertions: [{}, {}, { assertion: 'sourceTotals', name: 'clicks', success: false, expected: '5', actual: '3' }],
        },
      },
    },
  ])
})

t.test('an error that is no check of what the API gave says nothing about checks', async t => {
  const { events } = await broken(t.testdir())
  const [, end] = events
  t.match(end, { eventType: 'FAIL', run: { facets: { errorMessage: { message: 'PAGES_ENDLESS: more than 10 pages' } } } })
  t.notOk(end?.inputs[0]?.inputFacets)
})
