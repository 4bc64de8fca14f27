import { collectDefaultMetrics, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { createMetrics, startAtZero } from '../../lib/metrics.ts'
import { exposition } from '../../lib/server/exposition.ts'
import { serveMetrics } from '../../lib/server/server.ts'
import { logged, open } from './setup.ts'

const OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8'
const CLASSIC = 'text/plain; version=0.0.4; charset=utf-8'

/** A registry as a daemon has it, with something in it. */
function filled(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const metrics = createMetrics(registry)
  startAtZero(metrics, 'ads', 'ads-api')
  metrics.rowsLoaded.inc({ pipeline: 'ads' }, 5)
  metrics.apiSeconds.observe({ api: 'ads-api' }, 0.2)
  return registry
}

/** Samples by name and labels, without those of the process, which differ from one moment to the next. */
function samples(text: string): string[] {
  return text.split('\n').filter(line => line.startsWith('headrace_'))
}

t.test('what Accept wants more decides, and the text format where nothing is said', async t => {
  const registry = new Registry()
  for (const [accept, contentType] of [
    [undefined, CLASSIC],
    ['', CLASSIC],
    ['*/*', CLASSIC],
    ['text/plain', CLASSIC],
    ['application/openmetrics-text', OPEN],
    ['application/openmetrics-text; version=1.0.0; charset=utf-8', OPEN],
    ['application/openmetrics-text;version="1.0.0"', OPEN],
    // Prometheus 2 and 3.
    [
      'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
      OPEN,
    ],
    [
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      OPEN,
    ],
    ['text/plain, application/openmetrics-text; q=0.5', CLASSIC],
    ['application/openmetrics-text; q=0', CLASSIC],
    ['application/openmetrics-text; version=0.0.1', CLASSIC],
    ['application/openmetrics-text; version=1.0.01', CLASSIC],
    ['application/openmetrics-textual', CLASSIC],
  ] as const) {
    t.equal((await exposition(registry, accept)).contentType, contentType, String(accept))
  }
})

t.test('OpenMetrics has the same samples, families of counters without _total, and an end', async t => {
  const registry = filled()
  const before = await exposition(registry)
  const { text } = await exposition(registry, 'application/openmetrics-text')
  t.same(samples(text), samples(before.text))
  t.match(text, /^# TYPE headrace_rows_loaded counter\nheadrace_rows_loaded_total\{pipeline="ads"\} 5$/m)
  t.ok(text.endsWith('\n# EOF\n'))
  t.notMatch(text, /\n\n/)
  const after = await exposition(registry)
  t.same(samples(after.text), samples(before.text))
  t.match(after.text, /^# TYPE headrace_rows_loaded_total counter$/m, 'nothing of it stays in the registry')
})

t.test('two who ask at once for different formats both get theirs', async (t: Test) => {
  const { url } = await open(t, serveMetrics(filled(), logged().log, { host: '127.0.0.1', port: 0 }))
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const wanted = index % 2 === 0 ? OPEN : CLASSIC
      const response = await fetch(`${url}/metrics`, { headers: { accept: wanted } })
      t.equal(response.headers.get('vary'), 'accept')
      t.equal(response.headers.get('content-type'), wanted)
      return { wanted, text: await response.text() }
    }),
  )
  for (const { wanted, text } of answers) {
    t.equal(text.includes('# EOF'), wanted === OPEN)
    t.equal(text.includes('# TYPE headrace_rows_loaded counter'), wanted === OPEN)
    t.equal(text.includes('# TYPE headrace_rows_loaded_total counter'), wanted === CLASSIC)
    t.match(text, 'headrace_rows_loaded_total{pipeline="ads"} 5')
  }
})
