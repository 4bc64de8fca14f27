import { brotliCompressSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { HeadraceError } from '../../lib/errors.ts'
import type { JsonRequest } from '../../lib/http/client.ts'
import { type Scripted, type Server, serve } from '../servers/http.ts'
import { openClient, type TestClient } from './setup.ts'

async function setup(t: Test, script: Scripted | readonly Scripted[]): Promise<{ server: Server; client: TestClient }> {
  const server = await serve(script)
  const client = openClient()
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  return { server, client }
}

/** The error of one request, which must be one of headrace's own. */
async function errorOf(t: Test, script: Scripted | readonly Scripted[], path = '/', request?: JsonRequest) {
  const { server, client } = await setup(t, script)
  const error = await client.failure(server.url + path, request)
  if (!(error instanceof HeadraceError)) throw error
  return { error, server, client, tries: server.received.length }
}

t.test('a JSON answer comes with its status and headers, and is counted', async t => {
  const { server, client } = await setup(t, { status: 201, headers: { 'x-left': '7' }, body: { a: [1, null, 'x'] } })
  const answer = await client.http.json(`${server.url}/v1/things?x=1`, { headers: { Authorization: 'Bearer k' } })
  t.equal(answer.status, 201)
  t.equal(answer.headers['x-left'], '7')
  t.same(answer.body, { a: [1, null, 'x'] })
  t.same(client.http.usage, { requests: 1, retries: 0, bytes: 18, waitedMs: 0 })
  t.same(client.statuses, [201])
  const [received] = server.received
  t.match(received, { method: 'GET', path: '/v1/things?x=1', body: '' })
  t.match(received?.headers, { accept: 'application/json', 'accept-encoding': 'gzip, br', authorization: 'Bearer k' })
})

t.test('headers of the connector replace those of the client, whatever their case', async t => {
  const { server, client } = await setup(t, { body: {} })
  await client.http.json(server.url, {
    headers: { Accept: 'application/vnd.x+json', 'Content-Type': 'application/graphql' },
    body: {},
  })
  t.match(server.received[0]?.headers, { accept: 'application/vnd.x+json', 'content-type': 'application/graphql' })
})

t.test('a body is sent as JSON', async t => {
  const { server, client } = await setup(t, { body: {} })
  await client.http.json(server.url, { method: 'POST', body: { query: 'SELECT ö' } })
  t.match(server.received[0], { method: 'POST', body: '{"query":"SELECT ö"}', headers: { 'content-type': 'application/json' } })
})

t.test('text arrives as it was sent', async t => {
  const text = 'naïve Ω 日本語 🛒 \u2028'
  const bytes = Buffer.from(JSON.stringify({ text }))
  const cases: Record<string, Scripted> = {
    'beyond ASCII': { body: bytes },
    'after a byte order mark': { body: Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]) },
    'cut within characters': (_received, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const send = (at: number): void => {
        if (at === bytes.length) response.end()
        else response.write(bytes.subarray(at, at + 1), () => setImmediate(send, at + 1))
      }
      send(0)
    },
  }
  for (const [name, script] of Object.entries(cases)) {
    const { server, client } = await setup(t, script)
    t.same((await client.http.json(server.url)).body, { text }, name)
  }
})

t.test('a body that is no JSON is asked for again, and then an error with an excerpt', async t => {
  const cases: Record<string, [Scripted, RegExp]> = {
    'nothing with 200': [{ body: '' }, /answered 200 with 0 bytes of application\/json that are not JSON \(an empty body\)/],
    'nothing with 204': [{ status: 204 }, /answered 204 with 0 bytes/],
    'a login page': [
      { headers: { 'content-type': 'text/html' }, body: '<html>\n  <h1>Log in</h1></html>' },
      /bytes of text\/html that are not JSON \(<html> <h1>Log in<\/h1><\/html>\)/,
    ],
    'half of the JSON, honestly measured': [{ body: '{"records":[{"id":1},{"i' }, /24 bytes of .* not JSON/],
    'two documents': [{ body: '{"a":1}{"a":2}' }, /not JSON/],
    'invalid UTF-8': [{ body: Buffer.from([0x22, 0xc3, 0x28, 0x22]) }, /not UTF-8/],
    'Latin-1': [{ body: Buffer.from('{"name":"Zoë"}', 'latin1') }, /not UTF-8/],
  }
  for (const [name, [script, message]] of Object.entries(cases)) {
    const { error, tries } = await errorOf(t, script)
    t.equal(error.code, 'API_BODY_BROKEN', name)
    t.match(error.message, message, name)
    t.equal(tries, 4, name)
  }
})

t.test('a compressed answer is read, and its bytes are counted as they came', async t => {
  const body = { rows: Array.from({ length: 20_000 }, (_, id) => ({ id, name: 'ö' })) }
  const encoders = { gzip: gzipSync, 'x-gzip': gzipSync, br: brotliCompressSync, GZIP: gzipSync }
  for (const [encoding, encode] of Object.entries(encoders)) {
    const bytes = encode(JSON.stringify(body))
    const { server, client } = await setup(t, { headers: { 'content-encoding': encoding }, body: bytes })
    t.same((await client.http.json(server.url)).body, body, encoding)
    t.equal(client.http.usage.bytes, bytes.length)
  }
})

t.test('an encoding that nobody asked for, or that is not what it says, is asked for again and then an error', async t => {
  const whole = gzipSync(JSON.stringify({ rows: 'x'.repeat(10_000) }))
  const cases: [string, Buffer, RegExp][] = [
    ['zstd', Buffer.from([0x28, 0xb5]), /the answer is encoded as zstd, asked for was gzip, br/],
    ['gzip', Buffer.from('{"plain":true}'), /the answer is not gzip, as it says/],
    ['br', Buffer.from([1, 2, 3]), /the answer (is not br, as it says|ends before its br does)/],
    ['gzip', whole.subarray(0, -10), /the answer ends before its gzip does/],
    ['gzip', Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8)]), /the answer is not gzip, as it says/],
  ]
  for (const [encoding, body, message] of cases) {
    const { error, tries } = await errorOf(t, { headers: { 'content-encoding': encoding }, body })
    t.match(error, { code: 'API_BODY_BROKEN', kind: 'transient', message })
    t.equal(tries, 4)
  }
})

t.test('an answer that is small only as long as it is compressed is dropped where the limit is', async t => {
  const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, ' '))
  const { error, tries, client } = await errorOf(t, { headers: { 'content-encoding': 'gzip' }, body: bomb })
  t.match(error, { code: 'BODY_TOO_LARGE', message: /larger than 1 MiB/ })
  t.equal(tries, 1)
  t.ok(client.http.usage.bytes <= bomb.length)
})

t.test('a compressed server error is a server error', async t => {
  const { error } = await errorOf(t, { status: 503, headers: { 'content-encoding': 'br' }, body: Buffer.from([1, 2, 3]) })
  t.equal(error.code, 'API_FAILED')
  t.match(error.message, /answered 503 \(encoded as br\)/)
})

t.test('an answer that says it is not encoded is read', async t => {
  const { server, client } = await setup(t, { headers: { 'content-encoding': 'Identity' }, body: [1] })
  t.same((await client.http.json(server.url)).body, [1])
})

t.test('a refused request is not repeated', async t => {
  for (const status of [400, 401, 403, 404, 410, 422]) {
    const { error, tries, client } = await errorOf(t, { status, body: { error: { message: 'no such\naccount' } } }, '/v1/x?key=s')
    t.match(error, { code: 'API_REFUSED', kind: 'config' })
    t.match(error.message, new RegExp(`/v1/x answered ${status} \\(\\{"error":\\{"message":"no such\\\\naccount"\\}\\}\\)$`))
    t.equal(tries, 1)
    t.same(client.http.usage, { requests: 1, retries: 0, bytes: 40, waitedMs: 0 })
  }
})

t.test('an excerpt is short', async t => {
  const { error } = await errorOf(t, { status: 400, body: 'x'.repeat(100_000) })
  t.ok(error.message.length < 300, `${error.message.length} characters`)
})

t.test('a redirect is not followed, not even to the same origin', async t => {
  const elsewhere = await serve({ body: { stolen: true } })
  t.teardown(() => elsewhere.close())
  for (const status of [301, 302, 303, 307, 308]) {
    const away = await errorOf(t, { status, headers: { location: `${elsewhere.url}/v2?token=t` } }, '/v1', {
      headers: { authorization: 'Bearer k' },
    })
    t.match(away.error, { code: 'API_REFUSED' })
    t.ok(away.error.message.endsWith(`/v1 answered ${status} and sends to ${elsewhere.url}/v2`), away.error.message)
    t.equal(away.tries, 1)
    const home = await errorOf(t, { status, headers: { location: '/login?next=x' } }, '/v1')
    t.ok(home.error.message.endsWith(`sends to ${home.server.url}/login`), home.error.message)
    t.equal(home.tries, 1)
  }
  t.match((await errorOf(t, { status: 304 })).error, { code: 'API_REFUSED', message: /answered 304 \(an empty body\)/ })
  t.equal(elsewhere.received.length, 0, 'nothing ever reached the other server')
})

t.test('an expired page token is recognised by status and body, with any status, and not asked for again', async t => {
  for (const status of [200, 400, 410, 429, 500]) {
    const { error, tries } = await errorOf(t, { status, body: { error: 'EXPIRED' } }, '/', {
      classify: answer => (answer.status === status && answer.text.includes('EXPIRED') ? 'page-token-expired' : undefined),
    })
    t.match(error, { code: 'PAGE_TOKEN_EXPIRED', kind: 'transient' })
    t.equal(tries, 1)
  }
  const other = await errorOf(t, { status: 400, body: 'OTHER' }, '/', {
    classify: ({ text }) => (text.includes('EXPIRED') ? 'page-token-expired' : undefined),
  })
  t.equal(other.error.code, 'API_REFUSED')
})

t.test('what cannot be sent is said at once, and nothing is sent', async t => {
  const { server, client } = await setup(t, { body: {} })
  const cases: [string, JsonRequest, RegExp][] = [
    [server.url, { headers: { authorization: 'Bearer a\nb' } }, /cannot be sent: invalid authorization header/],
    ['api.example.com/v1?key=secret', {}, /"api.example.com\/v1" is not an absolute address/],
    ['ftp://127.0.0.1/v1', {}, /"ftp:\/\/127.0.0.1\/v1" is not an absolute address/],
    ['user:secret@api.example.com/v1', {}, /^"…@api.example.com\/v1" is not an absolute address$/],
    ['https://user:secret@api.example.com/v1?a=1', {}, /^"…@api.example.com\/v1" holds a user name or a password$/],
  ]
  for (const [url, request, message] of cases) {
    t.match(await client.failure(url, request), { code: 'CONFIG_INVALID', kind: 'config', message })
  }
  t.equal(server.received.length, 0)
  t.same(client.waits, [])
})
