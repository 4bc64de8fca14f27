import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type Format, jsonArray, jsonLines, rest } from '../../connectors/rest/index.ts'
import { cut, type Scripted } from '../servers/http.ts'
import { type Item, items, reading } from './setup.ts'

const batches = [
  { results: items(1, 3), requestId: 'a' },
  { results: items(4, 5), requestId: 'b' },
]
const byBatch = jsonArray({ batch: 'results' })
const inDocument = jsonArray({ at: 'data.rows' })

async function read(t: Test, script: Scripted, stream: Format) {
  const one = await reading(t, script, url =>
    rest<Item>({ name: 'items', url: `${url}/v1/{client}`, stream, body: { from: '{from}' } }),
  )
  const { pages, error } = await one.read()
  return { ids: pages.flat(), error, received: one.server.received }
}

t.test('a streamed array is read as batches, as records, and within a document', async t => {
  const found = await read(t, { body: batches }, byBatch)
  t.match(found, { ids: [1, 2, 3, 4, 5], error: undefined })
  t.same(
    found.received.map(({ method, path, body }) => [method, path, body]),
    [['POST', '/v1/acme', '{"from":"2026-01-01"}']],
  )
  t.match(await read(t, { body: items(1, 9) }, jsonArray()), { ids: [1, 2, 3, 4, 5, 6, 7, 8, 9], error: undefined })
  t.match(await read(t, { body: { data: { rows: items(1, 2) } } }, inDocument), { ids: [1, 2], error: undefined })
  t.match(await read(t, { body: [] }, byBatch), { ids: [], error: undefined })
})

t.test('JSON lines are read, plain, as a file in gzip, and encoded on the way', async t => {
  const lines = items(1, 3)
    .map(item => `${JSON.stringify(item)}\n`)
    .join('')
  for (const [body, headers] of [
    [lines, {}],
    [gzipSync(lines), { 'content-type': 'application/gzip' }],
    [gzipSync(lines), { 'content-encoding': 'gzip' }],
    [gzipSync(gzipSync(lines)), { 'content-encoding': 'gzip' }],
  ] as const) {
    t.match(await read(t, { body, headers }, jsonLines()), { ids: [1, 2, 3], error: undefined })
  }
  t.match(await read(t, { body: '' }, jsonLines()), { ids: [], error: undefined })
})

t.test('a stream that breaks off is never taken for a whole one', async t => {
  const lines = items(1, 3)
    .map(item => JSON.stringify(item))
    .join('\n')
  const file = gzipSync(lines)
  for (const [name, script, stream] of [
    ['an array without its bracket', { body: JSON.stringify(batches).slice(0, -1) }, byBatch],
    ['a document that is not closed', { body: '{"data":{"rows":[{"id":1}]' }, inDocument],
    ['a connection that breaks', cut(batches), byBatch],
    ['a line that is cut', { body: lines.slice(0, -3) }, jsonLines()],
    ['a file in gzip that is cut', { body: file.subarray(0, -8) }, jsonLines()],
    ['HTML', { body: '<html></html>' }, byBatch],
  ] as const) {
    const { error } = await read(t, script, stream)
    t.match(error, { kind: 'transient', code: /^API_(BODY_BROKEN|UNREACHABLE)$/ }, name)
  }
})

t.test('an answer that does not say where it ends is not read as a stream, for it could be cut unnoticed', async t => {
  const endless: Scripted = (_received, response) => {
    response.socket?.end(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${JSON.stringify({ id: 1 })}\n`)
    return undefined
  }
  t.match((await read(t, endless, jsonLines())).error, { code: 'API_BODY_BROKEN', message: /does not say where it ends/ })
})

t.test('a batch without records, an error in place of the array, and a zip archive are errors', async t => {
  for (const [script, stream, message] of [
    [{ body: [batches[0], { error: { code: 8 } }] }, byBatch, /v1\/acme, batch 2: no array of records at results .*keys error/],
    [{ body: { error: { code: 8 } } }, byBatch, /no array at the top/],
    [{ body: Buffer.from('PK\u0003\u0004....') }, jsonLines(), /is a zip archive/],
  ] as const) {
    t.match((await read(t, script, stream)).error, { code: 'PAGE_MALFORMED', kind: 'data', message })
  }
})
