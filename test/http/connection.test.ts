import { randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createGzip } from 'node:zlib'
import t, { type Test } from 'tap'
import type { HttpOptions } from '../../lib/http/client.ts'
import { type Scripted, type Server, SILENCE, serve } from '../servers/http.ts'
import { openClient, type TestClient } from './setup.ts'

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

/** Writes on and on, as fast as the other side reads or a little every few milliseconds. */
function endless(block: Buffer, everyMs = 0): Scripted {
  return (_received, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const write = (): void => {
      if (response.destroyed) return
      response.write(block, () => setTimeout(write, everyMs))
    }
    write()
  }
}

/** Sends a body with a wrong length before it, then closes the connection. */
function measured(body: string, length: number): Scripted {
  return (_received, response) => {
    response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body}`)
  }
}

t.test('a connection that is refused says so', async t => {
  const { server, client } = await setup(t, SILENCE)
  await server.close()
  const error = await client.failure(`${server.url}/v1?key=s`)
  t.match(error, { code: 'API_UNREACHABLE', kind: 'transient', message: /^http:\/\/127\.0\.0\.1:\d+\/v1: .*ECONNREFUSED/ })
  t.match(client.http.usage, { requests: 4, retries: 3, bytes: 0 })
  t.same(client.statuses, [0, 0, 0, 0])
})

t.test('a name that leads nowhere says so', async t => {
  const { client } = await setup(t, SILENCE, { attempts: 1 })
  t.match(await client.failure('http://name.invalid/v1'), { code: 'API_UNREACHABLE', message: /ENOTFOUND|EAI_AGAIN/ })
})

t.test('the deadline covers the whole answer: its beginning and its end', async t => {
  for (const [name, script, status] of [
    ['headers never come', SILENCE, 0],
    ['the body drips', endless(Buffer.from(' '), 5), 200],
  ] as const) {
    const { server, client } = await setup(t, script, { deadlineMs: 300, attempts: 2 })
    const error = await client.failure(server.url)
    t.match(error, { code: 'API_UNREACHABLE', message: /: no complete answer within 0.3 s$/ }, name)
    t.same(client.statuses, [status, status], name)
    await server.deserted()
  }
})

t.test('a body that pauses for too long is given up before its deadline', async t => {
  const { server, client } = await setup(
    t,
    (_received, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('[1,')
    },
    { idleMs: 100, attempts: 1 },
  )
  t.match(await client.failure(server.url), { code: 'API_UNREACHABLE', message: /: not a byte for 0.1 s$/ })
  await server.deserted()
})

t.test('a deadline that has passed once leaves the next try its own', async t => {
  const { server, client } = await setup(t, [SILENCE, { body: [1] }], { deadlineMs: 200 })
  t.same((await client.http.json(server.url)).body, [1])
})

t.test('a body of another length than announced is never taken for the answer', async t => {
  const body = '{"records":[1,2,3]}'
  for (const length of [body.length + 20, body.length - 5]) {
    const { server, client } = await setup(t, [measured(body, length), { body: [1] }])
    t.same((await client.http.json(server.url)).body, [1], `${length} announced`)
    const always = await setup(t, measured(body, length))
    t.match(await always.client.failure(always.server.url), { code: /API_UNREACHABLE|API_BODY_BROKEN/ })
  }
})

t.test('a body beyond the limit is dropped where the limit is, and not asked for again', async t => {
  const { server, client } = await setup(t, endless(Buffer.alloc(16_384, ' ')), { bodyLimit: 2 ** 20 })
  t.match(await client.failure(server.url), { code: 'BODY_TOO_LARGE', kind: 'data', message: /larger than 1 MiB/ })
  await server.deserted()
  t.equal(server.received.length, 1)
  t.ok(client.http.usage.bytes < 2 ** 20 + 2 ** 18, `${client.http.usage.bytes} bytes were read`)
  const exact = await setup(t, { body: `"${'x'.repeat(998)}"` }, { bodyLimit: 1_000 })
  t.equal(String((await exact.client.http.json(exact.server.url)).body).length, 998, 'the limit itself is allowed')
})

/** A plain server that never answers the greeting of TLS, so that no connection to it ever stands. */
async function silentServer(t: Test): Promise<{ url: string; connected: Promise<Socket> }> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connected = once(server, 'connection').then(([socket]) => (socket as Socket).on('error', () => undefined))
  t.teardown(async () => {
    // undici lets go of such a connection only when its own time for it is over.
    ;(await connected).destroy()
    server.close()
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, connected }
}

t.test('an abort before the connection stands does not wait for it', async t => {
  const { url, connected } = await silentServer(t)
  const client = openClient()
  t.teardown(() => client.destroy())
  const failure = client.failure(url)
  const socket = await connected
  client.abort.abort(new Error('enough'))
  t.match(await failure, { message: 'enough' })
  t.notOk(socket.closed, 'the connection was still being made')
})

t.test('a deadline that passes before the connection stands does not wait for it', async t => {
  const { url, connected } = await silentServer(t)
  const client = openClient({ attempts: 1, deadlineMs: 100 })
  t.teardown(() => client.destroy())
  t.match(await client.failure(url), { code: 'API_UNREACHABLE', message: /no complete answer within 0.1 s/ })
  t.notOk((await connected).closed, 'the connection was still being made')
})

t.test('an abort ends a request at every stage, with its own reason, and closes the connection', async t => {
  const reasons = [new Error('enough'), 'enough', undefined]
  for (const reason of reasons) {
    for (const [stage, script] of [
      ['waiting for headers', SILENCE],
      ['amid the body', endless(Buffer.from(' '), 1)],
    ] as const) {
      const { server, client } = await setup(t, script)
      const failure = client.failure(server.url)
      await server.arrived(1)
      while (script !== SILENCE && client.http.usage.bytes === 0) await setImmediate()
      client.abort.abort(reason)
      t.equal(await failure, client.abort.signal.reason, stage)
      await server.deserted()
      t.equal(server.received.length, 1)
      t.equal(client.http.usage.retries, 0)
      t.same(client.waits, [])
    }
  }
})

t.test('an abort does not wait for a connection that is being made', async t => {
  const { url, connected } = await silentServer(t)
  const client = openClient()
  t.teardown(() => client.destroy())
  const failure = client.failure(url)
  await connected
  const reason = new Error('enough')
  client.abort.abort(reason)
  t.equal(await failure, reason)
  t.notOk((await connected).closed, 'the connection was still being made')
})

t.test('an abort ends a body that is being decoded', async t => {
  const encoder = createGzip()
  const { server, client } = await setup(t, (_received, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    encoder.pipe(response)
    const write = (): void => void (response.destroyed || encoder.write(randomBytes(65_536), write))
    write()
  })
  t.teardown(() => encoder.destroy())
  const blocks = client.http.stream(server.url)
  t.ok((await blocks.next()).value?.length, 'it is being decoded')
  const reason = new Error('enough')
  client.abort.abort(reason)
  await t.rejects(async () => {
    for await (const _ of blocks);
  }, reason)
  await server.deserted()
})

t.test('an abort ends many requests at once', async t => {
  const { server, client } = await setup(t, SILENCE)
  // More than there are connections, so that some wait for one.
  const failures = Array.from({ length: 40 }, () => client.failure(server.url))
  await server.arrived(32)
  t.equal(server.sockets.size, 32)
  const reason = new Error('enough')
  client.abort.abort(reason)
  for (const error of await Promise.all(failures)) t.equal(error, reason)
  await server.deserted()
})

t.test('ten thousand requests leave nothing behind', async t => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('no garbage collector to call')
  const { server, client } = await setup(t, { body: [] }, { deadlineMs: 600_000 })
  const warnings: string[] = []
  const note = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', note)
  t.teardown(() => void process.off('warning', note))
  const ask = async (requests: number): Promise<number> => {
    const one = async (): Promise<void> => {
      for (let n = 0; n < requests / 20; n++) await client.http.json(server.url)
    }
    await Promise.all(Array.from({ length: 20 }, one))
    ;(server.received as unknown[]).length = 0
    for (let round = 0; round < 3; round++) {
      await setImmediate()
      collect()
    }
    return process.memoryUsage().heapUsed
  }
  const before = await ask(2_000)
  const after = await ask(10_000)
  t.ok(after - before < 3 * 2 ** 20, `the heap grew by ${Math.round((after - before) / 2 ** 10)} KiB`)
  t.same(warnings, [])
  t.equal(getEventListeners(client.abort.signal, 'abort').length, 0)
  t.notOk(process.getActiveResourcesInfo().includes('Timeout'), 'no timer is left')
})
