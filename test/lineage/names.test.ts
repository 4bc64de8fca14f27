import t from 'tap'
import { graphql } from '../../connectors/graphql/index.ts'
import { report } from '../../connectors/report/index.ts'
import { rest } from '../../connectors/rest/index.ts'
import { pageToken } from '../../lib/http/index.ts'
import { ConfigError, type Connector, defineConfig, definePipeline, duckdb, sqlite } from '../../lib/index.ts'
import { columnLineage, recordFields } from '../../lib/lineage/columns.ts'
import { apiName } from '../../lib/lineage/dataset.ts'
import { type LineageTarget, targetProblems } from '../../lib/lineage/lineage.ts'
import { client, constant, custom, day, micros, optional, timestamp } from '../../lib/mapping.ts'
import { date, defineTable, int64, nullable, numeric, string, timestamp as timestampColumn } from '../../lib/table.ts'
import { AdsApi, adsPipeline } from '../support/ads.ts'

const records = { records: 'rows', pages: pageToken({ param: 'page', next: 'next' }) }

t.test(
  'what a connector reads is named by origin and path, one dataset for all clients, and never by a query or a credential',
  async t => {
    const named = (address?: () => string) => apiName({ name: 'ads', ...(address === undefined ? {} : { address }) })
    const fromRest = rest({
      name: 'ads',
      url: 'https://api.example/v1/{client}/ads?key=planted',
      query: { token: 'planted' },
      ...records,
    })
    t.strictSame(apiName(fromRest), { namespace: 'https://api.example', name: '/v1/{client}/ads' })
    t.strictSame(
      named(() => 'https://user:planted@{client}.shop.example:8443'),
      { namespace: 'https://{client}.shop.example:8443', name: '/' },
    )
    const fromGraphql = graphql({
      name: 'shop',
      url: () => 'https://api.example/graphql#x',
      query: '{ orders }',
      connection: 'shop.orders',
    })
    t.strictSame(apiName(fromGraphql), { namespace: 'https://api.example', name: '/graphql#shop.orders' })
    const fromReport = report({
      name: 'reports',
      create: { url: 'https://api.example/reports', id: 'id' },
      poll: { url: 'https://api.example/reports/{report}', state: 'state', ready: ['DONE'], running: ['RUNNING'] },
      download: { url: 'https://api.example/reports/{report}/rows', ...records },
    })
    t.strictSame(apiName(fromReport), { namespace: 'https://api.example', name: '/reports' })
    const unknown = { namespace: 'api', name: 'ads' }
    t.strictSame(named(), unknown)
    t.strictSame(
      named(() => 'undefined/v1'),
      unknown,
    )
    t.strictSame(
      named(() => {
        throw new Error('not configured')
      }),
      unknown,
    )
  },
)

t.test('a constant comes from no field, a custom expression from the whole record', async t => {
  const source: Connector<{ day: string; at: number; spend: string }> = { name: 'ads', pages: async function* () {} }
  const pipeline = definePipeline({
    name: 'spend',
    source,
    table: defineTable(
      'ads.spend',
      { client_id: string(), date: date(), at: timestampColumn(), kind: string(), spend: numeric(), twice: nullable(int64()) },
      { partitionBy: 'date' },
    ),
    map: {
      client_id: client(),
      date: day('day'),
      at: timestamp('at', 'ms'),
      kind: constant('search'),
      spend: micros('spend'),
      twice: optional(custom('INT64', (record: { at: number }) => record.at * 2, 'it is asked for twice')),
    },
  })
  const api = { namespace: 'api', name: 'ads' }
  const from = (field: string, subtype: string, description: string) => ({
    inputFields: [{ ...api, field, transformations: [{ type: 'DIRECT', subtype, description }] }],
  })
  t.strictSame(columnLineage(pipeline, api), {
    fields: {
      client_id: { inputFields: [] },
      date: from('day', 'IDENTITY', '`day` as day'),
      at: from('at', 'IDENTITY', '`at`, ms since 1970, as an instant'),
      kind: { inputFields: [] },
      spend: from('spend', 'TRANSFORMATION', '`spend` / 1,000,000, exact'),
      twice: from('*', 'TRANSFORMATION', 'custom: it is asked for twice'),
    },
  })
  t.strictSame(recordFields(pipeline), { fields: ['day', 'at', 'spend', '*'].map(name => ({ name })) })
})

t.test('where lineage goes is one address or one file, and a password in it is refused without being repeated', async t => {
  const wrong = (target: object) => [...targetProblems(target as LineageTarget)].join('; ')
  for (const right of [
    { url: 'https://lineage.example' },
    { url: 'http://127.0.0.1:5000/x/' },
    { file: 'l.jsonl', namespace: 'a.b-c/d' },
  ]) {
    t.equal(wrong(right), '')
  }
  t.equal(wrong({}), 'its lineage names neither url nor file, or both')
  t.equal(wrong({ url: 'https://lineage.example', file: 'l.jsonl' }), 'its lineage names neither url nor file, or both')
  t.equal(wrong({ url: 'lineage.example' }), 'its lineage.url is not an address with http or https')
  for (const file of ['', undefined, 1]) t.equal(wrong({ file }), 'its lineage.file is not a path')
  t.equal(wrong({ url: undefined }), 'its lineage.url is not an address with http or https')
  t.match(wrong({ file: 'l.jsonl', namespace: 'two words' }), 'its lineage.namespace "two words" is not letters, digits')
  for (const url of [
    'https://me:planted@lineage.example',
    'https://lineage.example?key=planted',
    'https://lineage.example#planted',
  ]) {
    t.match(wrong({ url }), /its lineage.url is more than an address: a key goes into OPENLINEAGE_API_KEY/)
    t.notMatch(wrong({ url }), 'planted')
  }
  const config = {
    pipelines: [adsPipeline(new AdsApi().connector(1))],
    clients: ['a'],
    warehouse: duckdb({ path: 'w' }),
    ledger: sqlite({ path: 'l' }),
  }
  t.throws(() => defineConfig({ ...config, lineage: { file: '' } }), ConfigError)
  t.strictSame(defineConfig({ ...config, lineage: { file: 'l.jsonl' } }).lineage, { file: 'l.jsonl' })
})
