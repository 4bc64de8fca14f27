import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { createMetrics } from '../lib/metrics.ts'
import { pushing } from '../lib/push.ts'
import { MAY, project } from './bin/project.ts'
import { type Scripted, serve } from './servers/http.ts'

/** A registry, a server that takes the part of a Pushgateway, the clock of the pushes, and what was told. */
async function setup(t: Test, script: Scripted | readonly Scripted[]) {
  const server = await serve(script)
  t.teardown(() => server.close())
  const registry = new Registry()
  const metrics = createMetrics(registry)
  const told: string[] = []
  const ticks: (() => void)[] = []
  const { setInterval } = globalThis
  t.intercept(globalThis, 'setInterval', {
    value: (tick: () => void, ms: number) => {
      if (ms === 15_000) ticks.push(tick)
      return setInterval(tick, ms)
    },
  })
  const begin = (gateway = server.url) =>
    pushing({ gateway, runId: 'run 1/a', registry, warn: (name, message) => told.push(`${name}: ${message}`) })
  return { server, metrics, told, begin, tick: () => void ticks.map(tick => tick()) }
}

const GROUP = '/metrics/job/headrace_backfill/run_id/run%201%2Fa'

t.test('metrics are pushed at once and again, in the group of the run, and the end removes the group', async t => {
  const { server, metrics, told, begin, tick } = await setup(t, {})
  const end = begin(`${server.url}/`)
  await server.arrived(1)
  metrics.rowsLoaded.inc({ pipeline: 'ads' }, 7)
  while (server.received.length < 2) {
    tick()
    await server.arrived(1)
    await new Promise(resolve => setImmediate(resolve))
  }
  await end()
  const asked = server.received.map(({ method, path }) => `${method} ${path}`)
  t.same([...new Set(asked)], [`PUT ${GROUP}`, `DELETE ${GROUP}`])
  t.equal(asked.indexOf(`DELETE ${GROUP}`), asked.length - 1, 'nothing is pushed after the end')
  t.match(server.received[0]?.headers['content-type'], 'text/plain; version=0.0.4')
  t.notMatch(server.received[0]?.body, 'headrace_rows_loaded_total{pipeline="ads"}')
  t.match(server.received.at(-2)?.body, 'headrace_rows_loaded_total{pipeline="ads"} 7')
  t.same(told, [])
})

t.test('a Pushgateway that fails every time is told of once', async t => {
  const { server, told, begin, tick } = await setup(t, { status: 503 })
  const end = begin()
  await server.arrived(1)
  while (server.received.length < 3) {
    tick()
    await new Promise(resolve => setImmediate(resolve))
  }
  await end()
  t.same(told, [`PUSH_FAILED: ${server.url}: it answers 503; whether this run goes on cannot be seen there`])
})

t.test('one that nobody listens at, and one that sends somebody elsewhere, are told of as well', async t => {
  const { server, told, begin } = await setup(t, { status: 302, headers: { location: '/elsewhere' } })
  await begin()()
  t.equal(server.received.filter(({ path }) => path === '/elsewhere').length, 0)
  await server.close()
  await begin()()
  t.same(told, Array(2).fill(`PUSH_FAILED: ${server.url}: it cannot be reached; whether this run goes on cannot be seen there`))
})

t.test('one that does not answer holds nobody up for long', async t => {
  const { told, begin } = await setup(t, () => undefined)
  t.intercept(AbortSignal, 'timeout', { value: () => AbortSignal.abort(new DOMException('late', 'TimeoutError')) })
  await begin()()
  t.match(told, [/^PUSH_FAILED: .*: no answer within 5 s; /])
})

t.test('a group that cannot be removed is told of by its name', async t => {
  const { server, told, begin } = await setup(t, ({ method }) => ({ status: method === 'PUT' ? 200 : 500 }))
  const end = begin()
  await end()
  t.same(told, [`PUSH_FAILED: ${server.url}: it answers 500; the run run 1/a stays there and will look abandoned`])
})

t.test('headrace backfill --push tells how far it is, and takes it away in the end, however that is', async t => {
  const gateway = await serve({})
  t.teardown(() => gateway.close())
  const it = await project(t)
  const { script } = it.api
  it.api.script = async asked => {
    await gateway.arrived(1)
    return asked.client === 'globex' ? { status: 400, body: 'no' } : script(asked)
  }
  const { code, json } = await it.backfill('--push', gateway.url, '--json')
  t.equal(code, 42)
  const { run } = json() as { run: string }
  t.same(
    gateway.received.map(({ method, path }) => `${method} ${path}`),
    [`PUT /metrics/job/headrace_backfill/run_id/${run}`, `DELETE /metrics/job/headrace_backfill/run_id/${run}`],
  )
  t.match(gateway.received[0]?.body, 'headrace_chunks{pipeline="ads",state="pending"} 6')
})

t.test('a backfill whose Pushgateway is down ends as it would without, with one warning', async t => {
  const it = await project(t)
  const { code, stderr, json } = await it.backfill('--push', 'http://127.0.0.1:1', '--json')
  t.equal(code, 0)
  t.match(json(), { warnings: { PUSH_FAILED: 1 }, states: { published: { chunks: 6 } } })
  t.match(stderr, 'PUSH_FAILED: http://127.0.0.1:1: it cannot be reached; whether this run goes on cannot be seen there')
})

t.test('what is no address of a Pushgateway is refused before anything is read', async t => {
  const it = await project(t)
  for (const url of ['pushgateway:9091', 'ftp://127.0.0.1', 'http://me:secret@127.0.0.1', 'http://127.0.0.1/?a=1']) {
    const { code, stderr } = await it.headrace('backfill', ...MAY, '--push', url)
    t.equal(code, 2, url)
    t.match(stderr, 'It must be an address like http://127.0.0.1:9091, without a password.')
  }
  t.same(it.api.asked, [])
})
