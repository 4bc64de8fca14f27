import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { TransientError } from '../../lib/errors.ts'
import type { HttpOptions } from '../../lib/http/client.ts'
import { cut, RESET, type Scripted, type Server, serve } from '../servers/http.ts'
import { NOW, openClient, type TestClient } from './setup.ts'

async function setup(
  t: Test,
  script: Scripted | readonly Scripted[],
  options: Partial<HttpOptions> = {},
): Promise<{ server: Server; client: TestClient }> {
  const server = await serve(script)
  const client = openClient(options)
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  return { server, client }
}

function throttle(retryAfter?: string | string[], status = 429): Scripted {
  return { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter }, body: { error: 'slow down' } }
}

const HTML: Scripted = { status: 502, headers: { 'content-type': 'text/html' }, body: '<html><h1>Bad Gateway</h1></html>' }
const GOOD: Scripted = { body: { ok: true } }

t.test('a hint of the server is waited in full, with jitter on top', async t => {
  const cases: [string | string[], number][] = [
    ['3', 3_000],
    ['1.5', 1_500],
    ['Sat, 31 Jan 2026 12:00:20 GMT', 20_000],
    [['2', '4'], 4_000],
    ['60', 60_000],
  ]
  let jitter = 0
  for (const [header, hint] of cases) {
    const { server, client } = await setup(t, [throttle(header), throttle(header, 503), GOOD])
    t.same((await client.http.json(server.url)).body, { ok: true }, String(header))
    t.equal(client.waits.length, 2)
    for (const wait of client.waits) {
      t.ok(wait >= hint && wait <= hint + 500, `${header}: waited ${wait}`)
      jitter += wait - hint
    }
    t.same(client.http.usage, { requests: 3, retries: 2, bytes: 53, waitedMs: client.waits.reduce((a, b) => a + b, 0) })
    t.same(client.statuses, [429, 503, 200])
  }
  t.ok(jitter > 0, 'ten waits are not all exactly as long as asked')
})

t.test('a hint that says nothing leaves the wait to full jitter, doubled from try to try', async t => {
  for (const header of [undefined, '0', '-1', 'soon', 'Sat, 31 Jan 2026 11:00:00 GMT', '99999999999']) {
    const { server, client } = await setup(t, [throttle(header), throttle(header), throttle(header), GOOD])
    t.same((await client.http.json(server.url)).body, { ok: true }, String(header))
    t.equal(client.waits.length, 3)
    client.waits.forEach((wait, index) => {
      t.ok(wait >= 0 && wait <= 500 * 2 ** index, `${header}: wait ${index + 1} is ${wait}`)
    })
  }
})

t.test('a hint longer than a slot is worth parks the chunk until then, without a wait', async t => {
  for (const status of [429, 503]) {
    const { server, client } = await setup(t, throttle('3600', status))
    const error = await client.failure(`${server.url}/v1?key=s`)
    if (!(error instanceof TransientError)) throw error
    t.match(error, { code: 'API_THROTTLED', message: `${server.url}/v1 asks to wait 3600 s` })
    const until = (error.notBefore ?? 0) - NOW
    t.ok(until >= 3_600_000 && until <= 3_600_500, `parked for ${until} ms`)
    t.match(error.cause, { message: new RegExp(`answered ${status} .*slow down`) })
    t.equal(server.received.length, 1)
    t.same(client.waits, [])
    t.same(client.http.usage, { requests: 1, retries: 0, bytes: 21, waitedMs: 0 })
  }
})

t.test('a chunk is parked even by the last try, and never by a wait of its own making', async t => {
  const parked = await setup(t, [throttle(), throttle('61')], { attempts: 2 })
  t.type(((await parked.client.failure(parked.server.url)) as TransientError).notBefore, 'number')
  const impatient = await setup(t, [throttle(), throttle(), GOOD], { longestWaitMs: 0 })
  t.same((await impatient.client.http.json(impatient.server.url)).body, { ok: true })
})

t.test('failures that may pass are tried again, and the answer after them is the answer', async t => {
  const faults: Record<string, Scripted> = {
    '408': { status: 408 },
    '429': throttle(),
    '500': { ...HTML, status: 500 },
    '502': HTML,
    '503': { ...HTML, status: 503 },
    reset: RESET,
    cut: cut({ records: 'x'.repeat(50_000) }),
    'half a body': { body: '{"records":[' },
  }
  for (const [name, fault] of Object.entries(faults)) {
    for (const method of ['GET', 'POST'] as const) {
      const { server, client } = await setup(t, [fault, fault, GOOD])
      const body = method === 'POST' ? { body: { page: 2 } } : {}
      const answer = await client.http.json(`${server.url}/q?a=1`, { method, ...body, headers: { authorization: 'Bearer k' } })
      t.same(answer.body, { ok: true }, `${method} after ${name}`)
      t.equal(server.received.length, 3)
      for (const received of server.received) {
        t.match(received, { method, path: '/q?a=1', body: method === 'POST' ? '{"page":2}' : '' })
        t.equal(received.headers.authorization, 'Bearer k')
      }
      t.match(client.http.usage, { requests: 3, retries: 2, waitedMs: client.waits.reduce((a, b) => a + b, 0) })
    }
  }
})

t.test('a failure that stays is an error after the last try, without a wait behind it', async t => {
  const cases: [Scripted, string, RegExp][] = [
    [{ ...HTML, status: 500 }, 'API_FAILED', /answered 500 \(<html><h1>Bad Gateway<\/h1><\/html>\)/],
    [HTML, 'API_FAILED', /answered 502/],
    [{ ...HTML, status: 503 }, 'API_FAILED', /answered 503/],
    [throttle(), 'API_THROTTLED', /answered 429 \(\{"error":"slow down"\}\)/],
    [throttle('1'), 'API_THROTTLED', /answered 429/],
    [RESET, 'API_UNREACHABLE', /other side closed|ECONNRESET/],
  ]
  for (const [script, code, message] of cases) {
    const { server, client } = await setup(t, script)
    const error = await client.failure(server.url)
    t.match(error, { code, kind: 'transient', message, notBefore: undefined })
    t.equal(server.received.length, 4)
    t.equal(client.waits.length, 3)
    t.match(client.http.usage, { requests: 4, retries: 3 })
  }
})

t.test('the bytes of failed tries count as well', async t => {
  const { server, client } = await setup(t, [HTML, { body: '{"a":' }, GOOD])
  await client.http.json(server.url)
  t.equal(client.http.usage.bytes, '<html><h1>Bad Gateway</h1></html>'.length + 5 + 11)
})

t.test('an abort ends a wait between two tries, and nothing is asked after it', async t => {
  const server = await serve(throttle('30'))
  const waiting = Promise.withResolvers<void>()
  const client = openClient({}, async (ms, signal) => {
    waiting.resolve()
    await delay(ms, undefined, { signal })
  })
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  const failure = client.failure(server.url)
  await waiting.promise
  client.abort.abort(new Error('enough'))
  const error = await failure
  t.match(error instanceof Error && error.name === 'AbortError' ? error.cause : error, { message: 'enough' })
  t.equal(server.received.length, 1)
  t.same(client.http.usage, { requests: 1, retries: 0, bytes: 21, waitedMs: 0 }, 'a wait that was not finished does not count')
})

t.test('an aborted client asks for nothing', async t => {
  const { server, client } = await setup(t, GOOD)
  client.abort.abort(new Error('enough'))
  t.match(await client.failure(server.url), { message: 'enough' })
  t.equal(server.received.length, 0)
  t.equal(client.http.usage.requests, 0)
})

t.test('what is asked for ahead is sent at once, and its answer or its failure comes when it is wanted', async t => {
  const { server, client } = await setup(t, [{ body: 1 }, { status: 503 }, { body: 3 }, { status: 403, body: 'no' }])
  const [first, second] = [client.http.ahead(server.url), client.http.ahead(server.url)]
  await server.arrived(2)
  t.same(client.waits, [])
  t.same((await first()).body, 1)
  t.same((await second()).body, 3, 'it was tried again')
  t.equal(client.waits.length, 1)
  const refused = client.http.ahead(server.url)
  await server.arrived(4)
  await t.rejects(refused(), { code: 'API_REFUSED' })
})

t.test('answers that wait for their turn are not written over', async t => {
  const bodies = Array.from({ length: 40 }, (_, index) => ({ text: `${index} `.repeat(index * 300) }))
  const { server, client } = await setup(
    t,
    bodies.map(body => ({ body })),
  )
  for (let round = 0; round < bodies.length; round += 10) {
    const waiting = Array.from({ length: 10 }, () => client.http.ahead(server.url))
    const texts = await Promise.all(waiting.map(async answer => JSON.stringify((await answer()).body)))
    t.same(
      texts.sort(),
      bodies
        .slice(round, round + 10)
        .map(body => JSON.stringify(body))
        .sort(),
    )
  }
})
