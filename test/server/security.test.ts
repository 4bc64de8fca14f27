import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { LIMITS, type Limits, type Listening, listen } from '../../lib/server/app.ts'
import { daemon, logged, open } from './setup.ts'

const TOKEN = 'a-token-that-nobody-guesses'
const HOST = 'Host: localhost'

/** Says something on a connection of its own, and gives all that comes back until the other side ends it. */
async function say(t: Test, { port }: Pick<Listening, 'port'>, ...lines: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => void socket.destroy())
  await once(socket, 'connect')
  const answer = text(socket).catch((error: Error) => error.message)
  socket.write(lines.join('\r\n'))
  return await answer
}

/** A request as it stands on the wire, after which the connection is closed. */
const raw = (first: string, ...headers: string[]): string[] => [first, ...headers, 'Connection: close', '', '']

const statusOf = (answer: string): number => Number(answer.match(/^HTTP\/1\.1 (\d+)/)?.[1])

/** A server of one path that takes a body, with other limits; `connected` is called with its end of every connection. */
async function limited(t: Test, limits: Partial<Limits>, connected: (socket: Socket) => void = () => {}): Promise<Listening> {
  const listening = listen(
    logged().log,
    { host: '127.0.0.1', port: 0 },
    app => {
      app.server.on('connection', connected)
      app.post('/', async () => ({ ok: true }))
      app.get('/', async () => 'x'.repeat(50_000_000))
    },
    { ...LIMITS, ...limits },
  )
  return open(t, listening)
}

t.test('a path says what it does when it is asked for something else', async t => {
  const { server } = await daemon(t, { token: TOKEN })
  for (const [method, path, allowed] of [
    ['POST', '/metrics', 'GET, HEAD'],
    ['DELETE', '/', 'GET, HEAD'],
    ['PUT', '/v1/chunks', 'GET, HEAD'],
    ['GET', '/v1/backfills', 'POST'],
    ['PATCH', '/v1/chunks/a/b/2026-01-01/approve', 'POST'],
    ['OPTIONS', '/v1/backfills', 'POST'],
  ] as const) {
    const response = await fetch(server.url + path, { method, headers: { origin: 'https://evil.example' } })
    t.equal(response.status, 405, `${method} ${path}`)
    t.equal(response.headers.get('allow'), allowed)
    t.equal(response.headers.get('access-control-allow-origin'), null)
  }
  for (const method of ['BREW', 'CONNECT', 'get'])
    t.equal(statusOf(await say(t, server, ...raw(`${method} / HTTP/1.1`, HOST))) || 400, 400)
})

t.test('nothing but its paths can be reached, however they are written', async t => {
  const { server, lines } = await daemon(t, { token: TOKEN })
  for (const path of [
    '/v1/../metrics',
    '/v1/%2e%2e/metrics',
    '//metrics',
    '/metrics/',
    '/./metrics',
    '/metrics%00',
    '/%00',
    '/%',
    '/v1/%ff',
    '/v1/datasets/..%2f..%2f..%2fetc%2fpasswd/readiness?through=2026-01-01',
    '/v1/datasets/ads.campaigns%00/readiness?through=2026-01-01',
    `/v1/datasets/${'x'.repeat(2_000)}/readiness?through=2026-01-01`,
    '/v1/datasets//readiness?through=2026-01-01',
    '/v1/datasets/__proto__/readiness?through=2026-01-01',
    '/v1/chunks/a/b/c/approve',
    '/etc/passwd',
    '\\metrics',
  ]) {
    const answer = await say(t, server, ...raw(`GET ${path} HTTP/1.1`, HOST))
    t.ok([400, 404, 405, 414].includes(statusOf(answer)), `${path.slice(0, 60)}: ${answer.slice(0, 40)}`)
    t.notMatch(answer, /root:|node_modules| {4}at /)
  }
  t.same(
    lines.filter(({ level }) => level === 'error'),
    [],
    'none of it is a defect',
  )
})

t.test('what is too large is refused without being taken in', async t => {
  const { server } = await daemon(t, { token: TOKEN })
  const post = (body: string, headers: Record<string, string>) =>
    fetch(`${server.url}/v1/backfills`, { method: 'POST', body, headers })
  const authorization = `Bearer ${TOKEN}`
  const large = JSON.stringify({ pipeline: 'x'.repeat(LIMITS.bodyBytes) })
  t.equal((await post(large, { authorization, 'content-type': 'application/json' })).status, 413)
  const endless = ['POST /v1/backfills HTTP/1.1', HOST, `Authorization: ${authorization}`, 'Content-Type: application/json']
  const chunk = `1000\r\n${'['.repeat(4_096)}\r\n`
  t.equal(statusOf(await say(t, server, ...endless, 'Transfer-Encoding: chunked', '', chunk.repeat(20))), 413)
  t.equal(statusOf(await say(t, server, ...endless, 'Content-Length: 99999999999', '', 'x')), 413)
  const unknown = ['POST /v1/backfills HTTP/1.1', HOST, 'Content-Type: application/json', 'Content-Length: 60000']
  t.equal(
    statusOf(await say(t, server, ...unknown, 'Connection: close', '', '')),
    401,
    'without the token, nothing is waited for',
  )
  t.equal(statusOf(await say(t, server, ...raw('GET / HTTP/1.1', HOST, `X: ${'x'.repeat(LIMITS.headerBytes)}`))), 431)
  t.equal(statusOf(await say(t, server, ...raw(`GET /?${'x'.repeat(LIMITS.headerBytes)} HTTP/1.1`, HOST))), 431)
})

t.test('only JSON is taken, so no page of another site can send anything', async t => {
  const { server } = await daemon(t, { token: TOKEN })
  const body = JSON.stringify({ pipeline: 'campaigns', from: '2026-01-01', to: '2026-01-01' })
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    '',
  ]) {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': type }
    const response = await fetch(`${server.url}/v1/backfills`, { method: 'POST', body: new TextEncoder().encode(body), headers })
    t.ok([400, 415].includes(response.status), `${type}: ${response.status}`)
  }
})

t.test('JSON that would change what objects are is refused, and so is what is no JSON', async t => {
  const { server } = await daemon(t, { token: TOKEN })
  for (const body of [
    '{"__proto__": {"token": "x"}, "pipeline": "campaigns", "from": "2026-01-01", "to": "2026-01-01"}',
    '{"constructor": {"prototype": {"token": "x"}}}',
    '{"pipeline": {"__proto__": []}}',
    '{',
    '',
    '"campaigns"',
    'null',
    `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
  ]) {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }
    const response = await fetch(`${server.url}/v1/backfills`, { method: 'POST', body, headers })
    t.equal(response.status, 400, body.slice(0, 40))
  }
  t.notOk('token' in {})
})

t.test('on loopback, a server answers to no other name', async t => {
  const { server } = await daemon(t)
  const asked = async (...headers: string[]): Promise<number> =>
    statusOf(await say(t, server, ...raw('GET /livez HTTP/1.1', ...headers)))
  for (const host of ['localhost', `localhost:${server.port}`, '127.0.0.1', '127.0.0.1:80', '[::1]:80', 'LOCALHOST']) {
    t.equal(await asked(`Host: ${host}`), 200, host)
  }
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'evil.example:80', '192.0.2.1', '']) {
    t.equal(await asked(`Host: ${host}`), 421, host)
  }
  t.equal(await asked(), 400, 'or without a name')
  t.equal(statusOf(await say(t, server, ...raw('GET /livez HTTP/1.0'))), 421)
})

t.test('a request that can be read in two ways is refused', async t => {
  const { server } = await daemon(t, { token: TOKEN })
  const first = ['POST /v1/backfills HTTP/1.1', HOST, 'Content-Type: application/json']
  t.equal(statusOf(await say(t, server, ...first, 'Content-Length: 4', 'Transfer-Encoding: chunked', '', '0', '', '')), 400)
  t.equal(statusOf(await say(t, server, ...first, 'Content-Length: 4', 'Content-Length: 5', '', '{}')), 400)
  t.equal(statusOf(await say(t, server, 'GET /livez HTTP/1.1', HOST, 'X: a\nY: b', '', '')) || 400, 400)
})

t.test('who is slow is not waited for: not for headers, not for a body, not until an answer is read', async t => {
  const server = await limited(t, { headersMs: 200, requestMs: 400, checkMs: 50 })
  t.equal(statusOf(await say(t, server, 'GET / HTTP/1.1', 'Host: local')), 408)
  t.equal(
    statusOf(await say(t, server, 'POST / HTTP/1.1', HOST, 'Content-Type: application/json', 'Content-Length: 9', '', '{')),
    408,
  )
  const accepted = Promise.withResolvers<Socket>()
  const other = await limited(t, { silentMs: 300 }, accepted.resolve)
  const socket = connect(other.port, '127.0.0.1')
  t.teardown(() => void socket.destroy())
  const theirs = await accepted.promise
  socket.write(`GET / HTTP/1.1\r\n${HOST}\r\n\r\n`)
  await once(theirs, 'close')
  t.ok(theirs.destroyed, 'the connection is given up')
})

t.test('so many connections are taken and no more, and the others are served', async t => {
  const server = await limited(t, { connections: 3 })
  const sockets = Array.from({ length: 3 }, () => connect(server.port, '127.0.0.1'))
  t.teardown(() => sockets.forEach(socket => void socket.destroy()))
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  t.notMatch(await say(t, server, ...raw('POST / HTTP/1.1', HOST)), 'HTTP/', 'it is closed at once')
  const [first] = sockets
  if (first === undefined) return
  const answer = text(first)
  first.write(raw('POST / HTTP/1.1', HOST, 'Content-Length: 0').join('\r\n'))
  t.match(await answer, 'HTTP/1.1 200 OK')
})

t.test('no secret of a request gets into the log or into an answer', async t => {
  const { server, lines } = await daemon(t, { token: TOKEN })
  const secret = 'hunter2-and-more'
  const answers: string[] = []
  for (const [path, init] of [
    [`/nowhere/${secret}`, {}],
    [`/v1/chunks?token=${secret}`, {}],
    [`/v1/runs?after=${secret}`, {}],
    ['/v1/backfills', { method: 'POST', headers: { authorization: `Bearer ${secret}` } }],
    [
      '/v1/backfills',
      { method: 'POST', body: `{"${secret}`, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' } },
    ],
    ['/livez', { headers: { cookie: secret, 'x-api-key': secret } }],
  ] as const) {
    answers.push(await (await fetch(server.url + path, init)).text())
  }
  t.ok(lines.length >= 6, 'there was a log')
  for (const text of [JSON.stringify(lines), ...answers]) {
    t.notMatch(text, secret)
    t.notMatch(text, TOKEN)
  }
})
