import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { Counter, Registry } from 'prom-client'
import t from 'tap'
import { serveMetrics } from '../../lib/server/server.ts'
import { daemon, logged, open } from './setup.ts'

const LOOPBACK = { host: '127.0.0.1', port: 0 } as const
const metricsOf = (registry: Registry) => serveMetrics(registry, logged().log, LOOPBACK)

t.test('metrics are at /metrics, whatever the query, and nothing else is anywhere', async t => {
  const registry = new Registry()
  new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc(3)
  const { url } = await open(t, metricsOf(registry))
  for (const path of ['/metrics', '/metrics?name[]=things_total']) {
    const response = await fetch(`${url}${path}`)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), registry.contentType)
    t.match(await response.text(), /\nthings_total 3\n/)
  }
  for (const path of ['/', '/metricsx', '/metrics/x', '/readyz']) {
    const response = await fetch(`${url}${path}`)
    t.equal(response.status, 404)
    t.match(await response.json(), { error: { code: 'USAGE', message: 'there is no GET of this path' } })
  }
})

t.test('a metric that cannot be collected is an error of one scrape, not of the process', async t => {
  const registry = new Registry()
  let broken = true
  new Counter({
    name: 'things_total',
    help: 'Things.',
    registers: [registry],
    collect: () => {
      if (broken) throw new Error('not now')
    },
  })
  const { url } = await open(t, metricsOf(registry))
  const failed = await fetch(`${url}/metrics`)
  t.equal(failed.status, 500)
  t.match(await failed.json(), { error: { code: 'INTERNAL', message: 'Error: not now' } })
  broken = false
  t.equal((await fetch(`${url}/metrics`)).status, 200)
})

t.test('a port that is taken, and an address of another host, are configuration errors that name them', async t => {
  const { port } = await open(t, metricsOf(new Registry()))
  const there = (host: string) => serveMetrics(new Registry(), logged().log, { host, port })
  await t.rejects(there('127.0.0.1'), { code: 'PORT_IN_USE', message: `port ${port} is taken by another process` })
  await t.rejects(there('192.0.2.1'), { code: 'PORT_IN_USE', message: '192.0.2.1 is not an address of this host' })
})

t.test('closing does not wait for a scraper that keeps its connection', async t => {
  const server = await metricsOf(new Registry())
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const request = get({ host: '127.0.0.1', port: server.port, path: '/metrics', agent })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  await text(response)
  await server.close()
  await t.rejects(fetch(`${server.url}/metrics`))
})

t.test('a daemon that ticks and whose ledger answers is alive and ready', async t => {
  const {
    server: { url },
  } = await daemon(t, { tickAt: 999_000 })
  for (const path of ['/livez', '/readyz', '/metrics']) t.equal((await fetch(url + path)).status, 200, path)
  t.same(await (await fetch(`${url}/readyz`)).json(), { ok: true, checks: { ledger: 'ok', scheduler: 'ok', draining: 'ok' } })
})

t.test('a daemon that ends, or that does not tick any more, is alive but not ready, and says why', async t => {
  const { server: ends } = await daemon(t, { draining: true })
  const response = await fetch(`${ends.url}/readyz`)
  t.equal(response.status, 503)
  t.match(await response.json(), { ok: false, checks: { ledger: 'ok', draining: 'it ends: nothing new is begun' } })
  const { server: stuck } = await daemon(t, { tickAt: 880_000 })
  t.match(await (await fetch(`${stuck.url}/readyz`)).json(), { ok: false, checks: { scheduler: 'the last tick was 120 s ago' } })
  t.equal((await fetch(`${stuck.url}/livez`)).status, 200)
})

t.test('a daemon whose ledger cannot be read is alive but not ready, and says why', async t => {
  const {
    server: { url },
  } = await daemon(t, { files: { 'ledger.sqlite': 'a letter, and no database at all' } })
  const response = await fetch(`${url}/readyz`)
  t.equal(response.status, 503)
  t.match(await response.json(), {
    ok: false,
    checks: { ledger: /the ledger .* cannot be opened: file is not a database/, scheduler: 'ok' },
  })
  t.equal((await fetch(`${url}/livez`)).status, 200)
})
