import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bigquery, type ErrorCode } from '../../lib/index.ts'
import { undisturbed } from '../../lib/testing/stage.ts'
import { failure, ServiceError } from '../../lib/warehouse/bigquery/failure.ts'
import type { Reason } from '../servers/bigquery/errors.ts'
import { ads } from '../warehouse/kit.ts'
import { openBigQuery } from './hosts.ts'

const PREPARE: readonly (readonly [string, Reason, string, ErrorCode, RegExp])[] = [
  [
    'no right to run jobs',
    'accessDenied',
    'Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.',
    'WAREHOUSE_UNUSABLE',
    /BigQuery Job User/,
  ],
  [
    'no right to a table',
    'accessDenied',
    'Access Denied: Table p:ads.daily: Permission bigquery.tables.get denied on table p:ads.daily (or it may not exist).',
    'WAREHOUSE_UNUSABLE',
    /permissions of the account/,
  ],
  [
    'an API that is not enabled',
    'accessDenied',
    'BigQuery API has not been used in project 123 before or it is disabled. Enable it by visiting https://console.example/?p=1 then retry.',
    'WAREHOUSE_UNUSABLE',
    /Enable the BigQuery API/,
  ],
  ['a project that is not there', 'notFound', 'Not found: Project nowhere', 'WAREHOUSE_UNUSABLE', /option project/],
  ['a service that keeps failing', 'backendError', 'Error encountered during execution.', 'WAREHOUSE_FAILED', /try again/],
]

for (const [what, reason, message, code, hint] of PREPARE) {
  t.test(`${what} is said so, with what to do`, async t => {
    const host = await openBigQuery({ tries: 3 })
    t.teardown(() => host.close())
    host.server.faults.add({ on: 'any', effect: { kind: 'error', reason, message }, times: 100 })
    await t.rejects(host.warehouse.prepare(ads, { create: true }, undisturbed), { code, hint })
    t.equal(host.server.log.length, code === 'WAREHOUSE_FAILED' ? 3 : 1, 'what cannot pass is not tried again')
  })
}

t.test('a dataset in another location is said so, and not taken for one that is missing', async t => {
  const host = await openBigQuery({ location: 'EU' }, { location: 'US' })
  t.teardown(() => host.close())
  const { server } = host
  await fetch(`${server.url}/bigquery/v2/projects/${server.project}/datasets`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ datasetReference: { projectId: server.project, datasetId: 'ads' }, location: 'US' }),
  })
  const expected = { code: 'WAREHOUSE_UNUSABLE', message: /is in US, and the warehouse is configured for EU/ }
  await t.rejects(host.warehouse.prepare(ads, { create: true }, undisturbed), expected)
  await t.rejects(host.warehouse.clients(ads, undisturbed), expected)
})

t.test('a service that cannot be reached is a transient error', async t => {
  const host = await openBigQuery({ tries: 2 })
  await host.close()
  await t.rejects(host.warehouse.prepare(ads, { create: true }, undisturbed), {
    code: 'WAREHOUSE_FAILED',
    message: /ECONNREFUSED/,
  })
})

// Credentials are looked for before anything is sent, so that the address is never asked.
const apiEndpoint = 'https://127.0.0.1:1'

t.test('a key file that is not there, or is none, is said so', async t => {
  const folder = t.testdir()
  const prepare = (keyFile: string): Promise<unknown> =>
    bigquery({ project: 'p', apiEndpoint, keyFile, tries: 1 }).prepare(ads, { create: true }, undisturbed)
  await t.rejects(prepare(join(folder, 'missing.json')), { code: 'WAREHOUSE_UNUSABLE', message: /missing.json/, hint: /keyFile/ })
  const contents = {
    'text.json': 'hello',
    'list.json': '[]',
    'other.json': '{"type":"service_account","client_email":"a@example.com"}',
    'key.json':
      '{"type":"service_account","client_email":"a@example.com","private_key":"-----BEGIN PRIVATE KEY-----\\nno\\n-----END PRIVATE KEY-----"}',
  }
  for (const [name, text] of Object.entries(contents)) {
    writeFileSync(join(folder, name), text)
    await t.rejects(prepare(join(folder, name)), { code: 'WAREHOUSE_UNUSABLE', hint: /keyFile/ }, name)
  }
})

t.test('credentials that are not there at all are said so', async t => {
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  process.env = { PATH: before.PATH, HOME: t.testdir(), METADATA_SERVER_DETECTION: 'none' }
  await t.rejects(bigquery({ project: 'p', apiEndpoint }).prepare(ads, { create: true }, undisturbed), {
    code: 'WAREHOUSE_UNUSABLE',
    message: /could not load the default credentials/i,
    hint: /keyFile.*gcloud auth application-default login/,
  })
  await t.rejects(bigquery({ apiEndpoint }).prepare(ads, { create: true }, undisturbed), { code: 'WAREHOUSE_UNUSABLE' })
  const impersonating = bigquery({ project: 'p', apiEndpoint, impersonate: 'robot@p.iam.gserviceaccount.com' })
  await t.rejects(impersonating.prepare(ads, { create: true }, undisturbed), { code: 'WAREHOUSE_UNUSABLE' })
})

const MEANINGS: readonly (readonly [string, ServiceError, ErrorCode, RegExp])[] = [
  [
    'no billing',
    new ServiceError({ message: 'Billing has not been enabled for this project.', status: 403, reason: 'billingNotEnabled' }),
    'WAREHOUSE_UNUSABLE',
    /Enable billing/,
  ],
  [
    'expired credentials',
    new ServiceError({ message: 'invalid_grant: Token has been expired or revoked.', status: 400 }),
    'WAREHOUSE_UNUSABLE',
    /expired/,
  ],
  [
    'an account that may not be impersonated',
    new ServiceError({ message: "unable to impersonate: Permission 'iam.serviceAccounts.getAccessToken' denied", status: 403 }),
    'WAREHOUSE_UNUSABLE',
    /Token Creator/,
  ],
  [
    'a refused token',
    new ServiceError({ message: 'Request had invalid authentication credentials.', status: 401 }),
    'WAREHOUSE_UNUSABLE',
    /docs\/bigquery.md/,
  ],
  ['no answer', new ServiceError({ message: 'no answer within 60 s' }), 'WAREHOUSE_FAILED', /try again/],
  ['too many requests', new ServiceError({ message: 'slow down', status: 429 }), 'WAREHOUSE_FAILED', /try again/],
  [
    'a rate',
    new ServiceError({ message: 'Exceeded rate limits', status: 403, reason: 'rateLimitExceeded' }),
    'WAREHOUSE_FAILED',
    /try again/,
  ],
  [
    'updates of a table',
    new ServiceError({ message: 'Exceeded rate limits: too many table update operations for this table', reason: 'invalid' }),
    'WAREHOUSE_FAILED',
    /try again/,
  ],
  [
    'a queue that is full',
    new ServiceError({ message: 'Too many DML statements outstanding against table t, limit is 20', reason: 'invalidQuery' }),
    'WAREHOUSE_FAILED',
    /try again/,
  ],
  [
    'a job that was stopped',
    new ServiceError({ message: 'Job execution was cancelled', reason: 'stopped' }),
    'WAREHOUSE_FAILED',
    /try again/,
  ],
  [
    'a query that is too large',
    new ServiceError({ message: 'Resources exceeded during query execution', reason: 'resourcesExceeded' }),
    'WAREHOUSE_CEILING',
    /groupChunks/,
  ],
  [
    'a statement that is wrong',
    new ServiceError({ message: 'Syntax error: Unexpected "="', reason: 'invalidQuery' }),
    'STAGED_UNREADABLE',
    /report/,
  ],
]

t.test('every failure has its meaning', async t => {
  for (const [what, error, code, hint] of MEANINGS) {
    t.match(failure('ads.daily', error, 'Nothing was changed.'), { code, hint, message: /^ads.daily: / }, what)
  }
})

t.test('tokens in addresses are not told', async t => {
  const error = new ServiceError({ message: 'request to https://upload.example/jobs?upload_id=secret failed' })
  t.notMatch(String(failure('ads.daily', error, '')), /secret/)
})
