import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { HttpContext, HttpOptions } from '../../lib/http/client.ts'
import { cut, RESET, type Scripted, type Server, SILENCE, serve } from '../servers/http.ts'
import { openClient, type TestClient } from './setup.ts'

async function setup(
  t: Test,
  script: Scripted | readonly Scripted[],
  options: Partial<HttpOptions> = {},
  more: Partial<Pick<HttpContext, 'api' | 'pace'>> = {},
): Promise<{ server: Server; client: TestClient }> {
  const server = await serve(script)
  const client = openClient(options, undefined, more)
  t.teardown(async () => {
    await client.destroy()
    await server.close()
  })
  return { server, client }
}

/** Everything a stream gives, and the error at its end, if there is one. */
async function drain(blocks: AsyncIterable<Buffer>): Promise<{ text: string; error: unknown }> {
  const read: Buffer[] = []
  try {
    for await (const block of blocks) read.push(Buffer.from(block))
    return { text: Buffer.concat(read).toString(), error: undefined }
  } catch (error) {
    return { text: Buffer.concat(read).toString(), error }
  }
}

/** Sends some text, and then what `after` does. */
function begin(text: string, after: (response: Parameters<Extract<Scripted, (...args: never) => unknown>>[1]) => void): Scripted {
  return (_received, response) => {
    response.writeHead(200, { 'content-type': 'application/jsonl' })
    response.write(text, () => after(response))
  }
}

const LINES = Array.from({ length: 50_000 }, (_, id) => JSON.stringify({ id })).join('\n')

t.test('a body comes block by block, plain or decoded, and its bytes are counted as they came', async t => {
  const packed = gzipSync(LINES)
  for (const [name, script, bytes] of [
    ['plain', { body: LINES }, LINES.length],
    ['gzip', { headers: { 'content-encoding': 'gzip' }, body: packed }, packed.length],
  ] as const) {
    const { server, client } = await setup(t, script, { bodyLimit: 1_000 })
    const { text, error } = await drain(client.http.stream(`${server.url}/export?part=1`))
    t.equal(error, undefined, name)
    t.ok(text === LINES, 'nothing is missing')
    t.match(client.http.usage, { requests: 1, retries: 0, bytes })
    t.match(server.received[0], { path: '/export?part=1', headers: { accept: '*/*' } })
    t.same(client.statuses, [200])
  }
})

t.test('nothing is sent before the first block is asked for', async t => {
  const { server, client } = await setup(t, { body: LINES })
  const blocks = client.http.stream(server.url)
  await setImmediate()
  t.equal(server.received.length, 0)
  await blocks.return(undefined)
  t.equal(server.received.length, 0)
})

t.test('an empty body is a stream without blocks', async t => {
  const { server, client } = await setup(t, { body: '' })
  t.same(await drain(client.http.stream(server.url)), { text: '', error: undefined })
})

t.test('until the first byte a stream is tried again like any request', async t => {
  const faults: readonly Scripted[] = [
    RESET,
    { status: 503 },
    { status: 429, headers: { 'retry-after': '2' } },
    begin('', response => response.socket?.resetAndDestroy()),
  ]
  const { server, client } = await setup(t, [...faults, { body: 'a\nb' }], { attempts: 5 })
  t.same(await drain(client.http.stream(server.url)), { text: 'a\nb', error: undefined })
  t.equal(client.http.usage.retries, 4)
  t.equal(client.waits.length, 4)
  t.ok((client.waits[2] ?? 0) >= 2_000)
})

t.test('a stream that was refused says so like any request', async t => {
  const { server, client } = await setup(t, { status: 403, body: { error: 'no export' } })
  const { error } = await drain(client.http.stream(`${server.url}/e?key=s`))
  t.match(error, { code: 'API_REFUSED', message: `${server.url}/e answered 403 ({"error":"no export"})` })
})

t.test('a stream that breaks off is an error, and is not begun again', async t => {
  const packed = gzipSync(LINES)
  const cases: Record<string, [Scripted, string]> = {
    'the connection is reset': [begin('a\n', response => response.socket?.resetAndDestroy()), 'API_UNREACHABLE'],
    'half of the length that was announced': [cut(LINES), 'API_UNREACHABLE'],
    'half of the compressed bytes': [
      { headers: { 'content-encoding': 'gzip' }, body: packed.subarray(0, packed.length / 2) },
      'API_BODY_BROKEN',
    ],
  }
  for (const [name, [script, code]] of Object.entries(cases)) {
    const { server, client } = await setup(t, script)
    const { text, error } = await drain(client.http.stream(server.url))
    t.match(error, { code, kind: 'transient' }, name)
    t.ok(
      [LINES, JSON.stringify(LINES), 'a\n'].some(whole => whole.startsWith(text)),
      'what came before it came',
    )
    t.equal(server.received.length, 1)
    const second = await setup(t, script, { heavyTries: 1 })
    t.match((await drain(second.client.http.stream(second.server.url))).error, { code: 'WINDOW_TOO_LARGE' }, name)
  }
})

t.test('a stream has a deadline for its headers, one for each pause, and one for the whole', async t => {
  const drip: Scripted = (_received, response) => {
    response.writeHead(200)
    const write = (): void => void (response.destroyed || response.write('x', () => setTimeout(write, 5)))
    write()
  }
  const cases: [string, Scripted, Partial<HttpOptions>, RegExp][] = [
    ['silence', SILENCE, { deadlineMs: 100 }, /: no answer within 0.1 s$/],
    ['a pause', begin('a\n', () => undefined), { idleMs: 100 }, /: not a byte for 0.1 s$/],
    ['drops', drip, { streamMs: 200 }, /: no complete answer within 0.2 s$/],
  ]
  for (const [name, script, options, message] of cases) {
    const { server, client } = await setup(t, script, { attempts: 1, ...options })
    t.match((await drain(client.http.stream(server.url))).error, { code: 'API_UNREACHABLE', message }, name)
    await server.deserted()
  }
})

t.test('the clock for pauses stands still while the reader is busy', async t => {
  const { server, client } = await setup(t, { body: LINES }, { idleMs: 40 })
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  let read = 0
  for await (const block of client.http.stream(server.url)) {
    mock.timers.tick(1_000)
    read += block.length
  }
  t.equal(read, LINES.length)
})

t.test('a reader that stops ends the connection, and an abort ends the stream with its reason', async t => {
  const endless: Scripted = (_received, response) => {
    response.writeHead(200)
    const write = (): void => void (response.destroyed || response.write(LINES, () => setImmediate(undefined).then(write)))
    write()
  }
  const stopped = await setup(t, endless)
  for await (const block of stopped.client.http.stream(stopped.server.url)) if (block.length > 0) break
  await stopped.server.deserted()
  const aborted = await setup(t, endless)
  const reason = new Error('enough')
  let failure: unknown
  try {
    for await (const _ of aborted.client.http.stream(aborted.server.url)) aborted.client.abort.abort(reason)
  } catch (error) {
    failure = error
  }
  t.equal(failure, reason)
  await aborted.server.deserted()
})
