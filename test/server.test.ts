import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { Counter, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { type MetricsServer, serveMetrics } from '../lib/server/metrics.ts'

async function serve(t: Test, registry: Registry): Promise<MetricsServer> {
  const server = await serveMetrics(registry, 0)
  t.teardown(() => server.close())
  return server
}

t.test('metrics are at /metrics, whatever the query, and nothing else is anywhere', async t => {
  const registry = new Registry()
  new Counter({ name: 'things_total', help: 'Things.', registers: [registry] }).inc(3)
  const { port } = await serve(t, registry)
  for (const path of ['/metrics', '/metrics?name[]=things_total']) {
    const response = await fetch(`http://localhost:${port}${path}`)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), registry.contentType)
    t.match(await response.text(), /\nthings_total 3\n/)
  }
  for (const path of ['/', '/metricsx', '/metrics/x']) {
    const response = await fetch(`http://localhost:${port}${path}`)
    t.equal(response.status, 404)
    t.equal(await response.text(), 'metrics are at /metrics\n')
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
  const { port } = await serve(t, registry)
  const failed = await fetch(`http://localhost:${port}/metrics`)
  t.equal(failed.status, 500)
  t.match(await failed.text(), 'not now')
  broken = false
  t.equal((await fetch(`http://localhost:${port}/metrics`)).status, 200)
})

t.test('a port that is taken is a configuration error that names it', async t => {
  const { port } = await serve(t, new Registry())
  await t.rejects(serveMetrics(new Registry(), port), {
    code: 'PORT_IN_USE',
    kind: 'config',
    message: `port ${port} is taken by another process`,
  })
})

t.test('closing does not wait for a scraper that keeps its connection', async t => {
  const server = await serveMetrics(new Registry(), 0)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const request = get({ port: server.port, path: '/metrics', agent })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  await text(response)
  await server.close()
  await t.rejects(fetch(`http://localhost:${server.port}/metrics`))
})
