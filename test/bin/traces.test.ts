import t, { type Test } from 'tap'
import { type Scripted, type Server, SILENCE, serve } from '../servers/http.ts'
import type { Ran, Start } from './cli.ts'
import { MAY, type Project, project } from './project.ts'

const OTEL = new URL('../../examples/traces/otel.mjs', import.meta.url).href
const SECRET = 'planted-2b7e15'

/** A span as OTLP has it in JSON. */
interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly name: string
}

/** What collectors take: batches of spans, by where they come from. */
interface OtlpBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly unknown[] }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

/** How a command is started that sends its spans to a collector, as the docs say. */
function traced(collector: string): Start {
  return { env: { NODE_OPTIONS: `--import ${OTEL}`, OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_SERVICE_NAME: 'nightly' } }
}

/** A project whose API wants a key in the address and in a header, and a collector that does as scripted. */
async function setup(t: Test, script: Scripted): Promise<{ readonly it: Project; readonly collector: Server }> {
  const collector = await serve(script)
  t.teardown(() => collector.close())
  const source = `headers: { authorization: 'Bearer ${SECRET}' }, query: { client: '{client}', from: '{from}', to: '{to}', api_key: '${SECRET}' },`
  return { it: await project(t, { source }), collector }
}

async function backfill({ start }: Project, collector: string): Promise<Ran> {
  return start(['backfill', ...MAY, '--log-level', 'info'], traced(collector)).ended
}

function spansOf({ received }: Server): OtlpSpan[] {
  return received.flatMap(({ body }) =>
    (JSON.parse(body) as OtlpBody).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
  )
}

t.test('with the SDK of the example every span reaches the collector, and the log names them', async t => {
  const { it, collector } = await setup(t, { body: {} })
  const { code, stderr } = await backfill(it, collector.url)
  t.equal(code, 0)
  t.ok(collector.received.length > 0)
  for (const { path, method, headers } of collector.received) {
    t.match({ path, method, type: headers['content-type'] }, { path: '/v1/traces', method: 'POST', type: 'application/json' })
  }
  const spans = spansOf(collector)
  const names = Map.groupBy(spans, ({ name }) => name)
  t.equal(names.get('headrace.run')?.length, 1, 'also the one that ends last')
  t.equal(names.get('headrace.attempt')?.length, 6)
  t.equal(names.get('GET')?.length, it.api.asked.length)
  const lines: Record<string, unknown>[] = stderr
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
  t.same(
    lines
      .filter(({ event }) => event === 'chunk.published')
      .map(({ trace_id, span_id }) => `${trace_id} ${span_id}`)
      .toSorted(),
    names
      .get('headrace.attempt')
      ?.map(({ traceId, spanId }) => `${traceId} ${spanId}`)
      .toSorted(),
  )
  const bodies = collector.received.map(({ body }) => body).join('\n')
  t.match(bodies, '"stringValue":"nightly"')
  t.notMatch(bodies, SECRET)
})

t.test('a collector that never answers costs no chunk', async t => {
  const { it, collector } = await setup(t, SILENCE)
  t.equal((await backfill(it, collector.url)).code, 0)
  t.ok(collector.received.length > 0, 'it was asked')
  t.same(await it.query('SELECT count(*)::INT AS n FROM shop.ads'), [{ n: 12 }])
})

t.test('without an SDK nothing is traced, and the log names no spans', async t => {
  const { it } = await setup(t, {})
  const { stderr } = await it.start(['backfill', ...MAY, '--log-level', 'info']).ended
  t.match(stderr, '"event":"chunk.published"')
  t.notMatch(stderr, /trace_id|span_id/)
})
