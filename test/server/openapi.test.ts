import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import t from 'tap'
import { chunksOf, PROBLEM, request, summaryOf } from '../ledger/kit.ts'
import { publish } from '../published.ts'
import { daemon } from './setup.ts'

const TOKEN = 'a-token-that-nobody-guesses'

/** The document, as far as the test looks into it. */
interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly summary: string
  readonly security: readonly unknown[]
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[]
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>>
}

const PATHS = [
  'GET /',
  'GET /livez',
  'GET /metrics',
  'GET /readyz',
  'GET /v1/chunks',
  'GET /v1/datasets/{table}/readiness',
  'GET /v1/openapi.json',
  'GET /v1/report',
  'GET /v1/runs',
  'POST /v1/backfills',
  'POST /v1/chunks/{run}/{client}/{from}/approve',
  'POST /v1/chunks/{run}/{client}/{from}/retry',
]

t.test('every path is in the document, every answer is as it says, and what needs a token says so', async t => {
  const { server, ledger } = await daemon(t, { token: TOKEN })
  const document: Document = JSON.parse(await (await fetch(`${server.url}/v1/openapi.json`)).text())
  t.match(document.openapi, /^3\.1\./)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })),
  )
  const listed = operations.map(({ name }) => name).filter(name => !name.startsWith('HEAD '))
  t.same(listed.sort(), PATHS)
  for (const { name, path, operation } of operations) {
    t.ok(operation.summary, `${name} says what it is`)
    t.equal(operation.security.length > 0, name.startsWith('POST'), `${name} and the token`)
    const inPath = operation.parameters.filter(parameter => parameter.in === 'path').map(parameter => parameter.name)
    t.same(
      [...path.matchAll(/\{(\w+)\}/g)].map(([, part]) => part),
      inPath,
    )
  }

  const asked = request({ pipeline: 'campaigns', clients: ['globex'] })
  const run = await ledger.beginRun(asked, chunksOf(asked), { served: true })
  for (const state of ['held', 'parked'] as const) {
    const claim = await ledger.claim({ pipelines: [{ name: 'campaigns', atOnce: 9, after: [] }], perAccount: 9 }, 60_000)
    if (claim === undefined || 'waitMs' in claim) throw new Error('nothing to claim')
    await ledger.settle(claim.attemptId, { state, problem: PROBLEM, certain: true, notBefore: 9e12 }, summaryOf(claim))
  }
  await publish(ledger, 'campaigns', 'acme', { from: '2026-01-01', to: '2026-01-03' })
  const ajv = new Ajv2020({ allErrors: true })
  addFormats.default(ajv)
  const seen = new Set<string>()
  const call = async (template: string, url: string, status: number, body?: unknown): Promise<void> => {
    const [method = '', path = ''] = template.split(' ')
    const response = await fetch(server.url + url, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    t.equal(response.status, status, `${template} ${url}`)
    const schema = document.paths[path]?.[method.toLowerCase()]?.responses[status]?.content?.['application/json']?.schema
    if (schema === undefined) return
    const valid = ajv.validate(schema, await response.json())
    t.ok(valid, `${template}: ${ajv.errorsText()}`)
    seen.add(`${template} ${status}`)
  }
  const chunk = `/v1/chunks/${run?.id}/globex`
  await call('GET /livez', '/livez', 200)
  await call('GET /readyz', '/readyz', 200)
  await call('GET /v1/datasets/{table}/readiness', '/v1/datasets/ads.campaigns/readiness?through=2026-01-03', 200)
  await call('GET /v1/datasets/{table}/readiness', '/v1/datasets/ads.campaigns/readiness?through=2026-01-03&client=acme', 200)
  await call('GET /v1/chunks', '/v1/chunks', 200)
  await call('GET /v1/runs', '/v1/runs?limit=1', 200)
  await call('POST /v1/backfills', '/v1/backfills', 202, { pipeline: 'campaigns', from: '2026-01-01', to: '2026-01-01' })
  await call('POST /v1/backfills', '/v1/backfills', 400, {})
  await call('POST /v1/backfills', '/v1/backfills', 404, { pipeline: 'x', from: '2026-01-01', to: '2026-01-01' })
  for (const [action, day] of [
    ['approve', '2026-01-03'],
    ['retry', '2026-01-02'],
  ] as const) {
    const template = `POST /v1/chunks/{run}/{client}/{from}/${action}`
    await call(template, `${chunk}/${day}/${action}`, 202)
    await call(template, `${chunk}/${day}/${action}`, 409)
    await call(template, `${chunk}/2020-01-01/${action}`, 404)
  }
  t.equal(seen.size, 14, [...seen].join(', '))
})
