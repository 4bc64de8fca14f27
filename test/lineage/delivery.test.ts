import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { RunEvent as Told } from '../../lib/index.ts'
import type { RunEvent } from '../../lib/lineage/events.ts'
import { Outbox } from '../../lib/lineage/outbox.ts'
import { RESET, type Scripted, SILENCE, serve } from '../servers/http.ts'
import { AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { run } from '../support/run.ts'
import { attemptsIn } from './events.ts'

// What is waited for is mostly not this process.
t.jobs = 8

/** How much faster waits pass here. */
const HASTE = 50

const DAYS = { from: '2026-03-01', to: '2026-03-03' }

/** Backfills three days with a receiver that answers as it is written; what it got, what was counted and said, and what was waited, in ms. */
async function told(t: Test, script: Scripted | readonly Scripted[], path = '') {
  const server = await serve(script)
  const folder = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  t.teardown(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const api = new AdsApi()
  for (const day of ['2026-03-01', '2026-03-02', '2026-03-03']) api.set('a', day, [ad('a', day, '1')])
  const registry = new Registry()
  const said: Told[] = []
  const waits: number[] = []
  const { exitCode, totals } = await run({
    folder,
    ...DAYS,
    clients: ['a'],
    pipeline: adsPipeline(api.connector(10)),
    lineage: { url: `${server.url}${path}` },
    registry,
    observe: event => void said.push(event),
    sleep: async (ms, signal) => {
      waits.push(ms)
      await delay(ms / HASTE, undefined, { signal })
    },
  })
  t.match(
    { exitCode, totals },
    { exitCode: 0, totals: { states: { published: { chunks: 3, inserted: 3 } } } },
    'the data is published',
  )
  const warnings = said.filter(({ type }) => type === 'warning')
  return { server, waits, counts: await counted(registry), warnings }
}

async function counted(registry: Registry): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric('headrace_lineage_events_total')?.get()
  return Object.fromEntries(metric?.values.map(({ labels, value }) => [String(labels.outcome), value]) ?? [])
}

t.test('events are posted one after the other, with the key of the environment for a bearer token', async t => {
  process.env.OPENLINEAGE_API_KEY = 'planted'
  t.teardown(() => delete process.env.OPENLINEAGE_API_KEY)
  const { server, counts, warnings } = await told(t, { status: 201 }, '/openapi/openlineage/')
  const events = server.received.map(({ body }): RunEvent => JSON.parse(body))
  t.strictSame(attemptsIn(events), Array(3).fill('START COMPLETE'))
  t.match(server.received[0], {
    method: 'POST',
    path: '/openapi/openlineage/api/v1/lineage',
    headers: { authorization: 'Bearer planted', 'content-type': 'application/json' },
  })
  t.strictSame(counts, { delivered: 6, dropped: 0 })
  t.strictSame(warnings, [])
  t.notMatch(JSON.stringify(events), 'planted')
})

t.test('a receiver that resets a connection, or answers 500 or 429, is asked again', async t => {
  for (const bad of [RESET, { status: 500 }, { status: 429 }]) {
    const { server, waits, counts, warnings } = await told(t, [bad, { status: 200 }])
    const bodies = server.received.map(({ body }) => body)
    t.equal(bodies[0], bodies[1], 'the same event first')
    t.ok(waits.includes(500), 'after half a second')
    t.strictSame(counts, { delivered: 6, dropped: 0 })
    t.strictSame(warnings, [])
  }
})

t.test('what a receiver refuses for good is dropped at once, counted, and warned of once', async t => {
  const { server, counts, warnings } = await told(t, { status: 401, body: 'planted' })
  t.strictSame(counts, { delivered: 0, dropped: 6 })
  t.equal(server.received.length, 6, 'none is tried again')
  t.match(warnings, [{ name: 'LINEAGE_LOST', message: 'events of lineage are dropped from now on: it answers 401' }])
  t.equal(warnings.length, 1)
})

t.test(
  'a receiver that never answers, always fails, or sends elsewhere keeps a backfill for five seconds and no longer',
  async t => {
    const gone = await serve({})
    await gone.close()
    const redirect = { status: 302, headers: { location: gone.url } }
    const receivers = { SILENCE, RESET, failing: { status: 503 }, redirect }
    await Promise.all(
      Object.entries(receivers).map(async ([name, script]) => {
        const { waits, counts, warnings } = await told(t, script)
        t.equal(waits.filter(ms => ms === 5_000).length, 1, `${name}: the end was waited for once, for five seconds`)
        t.strictSame(counts, { delivered: 0, dropped: 6 }, name)
        t.equal(warnings.length, 1, name)
      }),
    )
  },
)

t.test('beyond a thousand events that wait, further ones are dropped without waiting', async t => {
  const counts = { delivered: 0, dropped: 0 }
  const reasons: string[] = []
  const first = Promise.withResolvers<void>()
  const outbox = new Outbox(() => first.promise, {
    sleep: ms => delay(ms),
    counted: outcome => counts[outcome]++,
    losing: reason => void reasons.push(reason),
  })
  for (let event = 0; event < 1_500; event++) outbox.put(() => ({ event }))
  t.strictSame(counts, { delivered: 0, dropped: 499 }, 'one is under way')
  t.strictSame(reasons, ['1000 events wait already'])
  first.resolve()
  await outbox.close()
  t.strictSame(counts, { delivered: 1_001, dropped: 499 })
  for (let event = 0; event < 3; event++) {
    outbox.put(() => ({ event }))
    await setImmediate()
  }
  t.equal(counts.delivered, 1_004, 'an event that comes after a pause is delivered too')
})

t.test('an event that cannot be made is dropped with its reason, and harms neither who tells it nor the next', async t => {
  const arrived: string[] = []
  const counts = { delivered: 0, dropped: 0 }
  const reasons: string[] = []
  const outbox = new Outbox(async event => void arrived.push(event), {
    sleep: ms => delay(ms),
    counted: outcome => counts[outcome]++,
    losing: reason => void reasons.push(reason),
  })
  outbox.put(() => {
    throw new Error('a defect')
  })
  outbox.put(() => ({ rows: 1n }))
  outbox.put(() => ({ rows: 1 }))
  await outbox.close()
  t.strictSame(arrived, ['{"rows":1}'])
  t.strictSame(counts, { delivered: 1, dropped: 2 })
  t.strictSame(reasons, ['it could not be written: a defect'])
})

t.test('several processes append whole lines to one file', async t => {
  const file = join(t.testdir(), 'lineage.jsonl')
  const script = `
    import { fileReceiver } from './lib/lineage/receivers.ts'
    const deliver = fileReceiver(process.argv[1])
    for (let n = 0; n < 200; n++) await deliver(JSON.stringify({ pid: process.pid, n, text: 'x'.repeat(10_000) }))`
  await Promise.all(
    Array.from({ length: 4 }, () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, file])),
  )
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const written = lines.map((line): { pid: number; n: number; text: string } => JSON.parse(line))
  t.equal(written.length, 800)
  t.equal(new Set(written.map(({ pid, n }) => `${pid} ${n}`)).size, 800)
  t.ok(written.every(({ text }) => text.length === 10_000))
})

t.test('a file that cannot be written costs events and no data', async t => {
  const folder = t.testdir()
  const api = new AdsApi()
  api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1')])
  const registry = new Registry()
  const said: Told[] = []
  const { exitCode } = await run({
    folder,
    from: '2026-03-01',
    to: '2026-03-01',
    clients: ['a'],
    pipeline: adsPipeline(api.connector(10)),
    lineage: { file: join(folder, 'nowhere', 'lineage.jsonl') },
    registry,
    observe: event => void said.push(event),
  })
  t.equal(exitCode, 0)
  t.strictSame(await counted(registry), { delivered: 0, dropped: 2 })
  t.match(
    said.filter(({ type }) => type === 'warning'),
    [{ name: 'LINEAGE_LOST', message: /nowhere\/lineage\.jsonl: ENOENT$/ }],
  )
})

t.test('after a line that the disk took in part, the next one begins a line of its own', async t => {
  const folder = t.testdir()
  const file = join(folder, 'lineage.jsonl')
  const script = `
    import { fileReceiver } from './lib/lineage/receivers.ts'
    process.on('SIGXFSZ', () => {})
    const deliver = fileReceiver(process.argv[1])
    await deliver(JSON.stringify('a'.repeat(70_000)))
    const reason = await deliver(JSON.stringify('b'.repeat(70_000))).catch(error => error.message)
    process.stdout.write(reason)
    process.stdin.once('data', async () => {
      await deliver(JSON.stringify('b'.repeat(70_000)))
      process.exit(0)
    })`
  // Files may have 102,400 bytes in there; whoever writes more is told so.
  const limited = 'ulimit -f 100; exec "$0" --input-type=module -e "$1" "$2"'
  const child = execFile('bash', ['-c', limited, process.execPath, script, file])
  const [reason] = await once(child.stdout ?? child, 'data')
  t.match(String(reason), /the disk took a part of it$/)
  renameSync(file, join(folder, 'full.jsonl'))
  child.stdin?.write('go on')
  await once(child, 'exit')
  t.equal(readFileSync(file, 'utf8'), `\n${JSON.stringify('b'.repeat(70_000))}\n`)
})
