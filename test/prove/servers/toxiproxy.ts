import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { compare } from '../../../examples/demo/compare.ts'
import { rows, run } from '../../support/run.ts'
import { freePort } from '../free-port.ts'
import { folder, start } from './process.ts'

const VERSION = '2.12.0'
const CLIENTS = ['ABE', 'ABI', 'ACV', 'ACY', 'ALB', 'AMA', 'ANC', 'ATW', 'AUS', 'AVL', 'AVP', 'BDL']
const WINDOW = { from: '2001-01-01', to: '2001-01-14' }

/** What the proxy does to what the API answers; `toxicity` is the share of connections that it strikes. */
interface Toxic {
  readonly title: string
  readonly type: string
  readonly toxicity: number
  readonly attributes: Readonly<Record<string, number>>
  /** Whether nothing can come through, so that the run must say so and publish nothing. */
  readonly deadly?: boolean
}

const TOXICS: readonly Toxic[] = [
  { title: 'nothing', type: 'latency', toxicity: 1, attributes: { latency: 0 } },
  { title: 'every answer 0.2 to 0.6 s late', type: 'latency', toxicity: 1, attributes: { latency: 400, jitter: 200 } },
  {
    title: 'answers in pieces of 500 bytes',
    type: 'slicer',
    toxicity: 1,
    attributes: { average_size: 500, size_variation: 200, delay: 10 },
  },
  { title: 'half of the connections reset', type: 'reset_peer', toxicity: 0.5, attributes: { timeout: 20 } },
  { title: 'half of the connections silent', type: 'timeout', toxicity: 0.5, attributes: { timeout: 0 } },
  { title: 'half of the connections end after 30 kB', type: 'limit_data', toxicity: 0.5, attributes: { bytes: 30_000 } },
  { title: 'every connection ends after 100 bytes', type: 'limit_data', toxicity: 1, attributes: { bytes: 100 }, deadly: true },
]

/** Installs the proxy, unless it is there; returns its path, or why it cannot be had. */
function install(go: string): { readonly path: string } | { readonly missing: string } {
  const home = join(tmpdir(), `headrace-toxiproxy-${VERSION}`)
  const path = join(home, 'server')
  if (existsSync(path)) return { path }
  const env = { ...process.env, GOBIN: home, GOFLAGS: '-p=2', CGO_ENABLED: '0' }
  const { status, stderr } = spawnSync(go, ['install', `github.com/Shopify/toxiproxy/v2/cmd/server@v${VERSION}`], {
    env,
    encoding: 'utf8',
    timeout: 150_000,
  })
  return status === 0 ? { path } : { missing: stderr?.trim().split('\n').at(-1) ?? 'it takes too long' }
}

/** Reads the demo API through a proxy that cuts, stalls and slices what comes through it. */
export async function throughToxiproxy(go: string): Promise<void> {
  const proxy = install(go)
  if ('missing' in proxy) {
    console.log(`toxiproxy is left out: ${proxy.missing}`)
    return
  }
  const api = fork(fileURLToPath(new URL('../../../examples/demo/server.ts', import.meta.url)), ['--faults', '0'])
  try {
    const [{ port: upstream }] = await once(api, 'message')
    const [control, port] = [await freePort(), await freePort()]
    const url = `http://127.0.0.1:${control}`
    await start(proxy.path, ['-port', String(control)], `${url}/version`, { LOG_LEVEL: 'fatal' })
    process.env.DEMO_API = `http://127.0.0.1:${port}`
    const { default: config } = await import('../../../examples/demo/headrace.config.ts')
    const pipeline = config.pipelines.find(({ name }) => name === 'flights')
    assert.ok(pipeline !== undefined)
    let retries = 0
    let expected: unknown
    for (const [index, { title, deadly = false, ...toxic }] of TOXICS.entries()) {
      const send = async (method: string, path: string, body?: unknown): Promise<void> => {
        const answer = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
        assert.ok(answer.ok, `${method} ${path}: ${answer.status}`)
      }
      await send('POST', '/proxies', {
        name: 'api',
        listen: `127.0.0.1:${port}`,
        upstream: `127.0.0.1:${upstream}`,
        enabled: true,
      })
      await send('POST', '/proxies/api/toxics', { ...toxic, stream: 'downstream' })
      const registry = new Registry()
      const { exitCode, progress } = await run({
        folder: join(folder, `toxic-${index}`),
        pipeline,
        ...WINDOW,
        clients: CLIENTS,
        registry,
        settings: { requestSeconds: 2, requestAttempts: deadly ? 2 : 12, attempts: deadly ? 1 : 5, concurrency: 8 },
      })
      await send('DELETE', '/proxies/api')
      const retried = await registry.getSingleMetric('headrace_api_retries_total')?.get()
      const repeated = (retried?.values ?? []).reduce((sum, { value }) => sum + value, 0)
      if (!deadly) retries += repeated
      const into = join(folder, `toxic-${index}`)
      const [contents] = await rows(into, 'SELECT count(*)::INT AS n, sum(hash(t))::VARCHAR AS hash FROM air.flights t')
      // Without a toxic it is compared with the source row for row, and the others with that.
      if (index === 0) {
        const [flights] = await compare({
          warehouse: join(into, 'warehouse.duckdb'),
          clients: CLIENTS,
          ...WINDOW,
          revisedDays: [],
        })
        assert.deepEqual([flights?.missing, flights?.extra], [0, 0])
        expected = contents
      }
      const found = `${progress.published} chunks, ${contents?.n} rows, ${repeated} requests repeated`
      console.log(`toxiproxy, ${title}: exit code ${exitCode}, ${found}`)
      // How many chunks it took is not told before: a window whose answer broke off twice is halved.
      if (deadly) assert.deepEqual([exitCode, progress.published, contents?.n], [1, 0, 0])
      else assert.deepEqual([exitCode, contents], [0, expected])
    }
    assert.ok(retries > 0, 'the proxy has struck something')
  } finally {
    api.kill()
  }
}
