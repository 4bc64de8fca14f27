import t from 'tap'
import { daysOf } from '../../lib/chunk.ts'
import { never } from './api.ts'
import { DUE, events, exact, PARTS, startDaemon, stopped, through } from './daemon.ts'
import { project } from './project.ts'

t.test('a daemon reads what is due, answers, and ends with 0 when it is told to stop', async t => {
  const it = await project(t, PARTS)
  const running = startDaemon(it)
  const url = /"url":"([^"]+)"/.exec(await running.said(/"event":"daemon.started".*"url":"[^"]+"/))?.[1] ?? ''
  await through(running, 24)
  t.match(await (await fetch(`${url}/readyz`)).json(), { ok: true })
  const metrics = await (await fetch(`${url}/metrics`)).text()
  t.match(metrics, /^headrace_scheduler_tick_timestamp_seconds [\d.]+$/m)
  t.match(metrics, /^headrace_next_run_timestamp_seconds\{pipeline="ads"\} [\d.]+$/m)
  t.match(metrics, /^headrace_rows_loaded_total\{pipeline="ads"\} 48$/m)
  t.match(metrics, /^process_cpu_seconds_total /m)
  const ran = await stopped(running)
  t.equal(ran.code, 0)
  t.equal(ran.stdout, '')
  const said = events(ran)
  t.match(said[0], { event: 'daemon.started', pipelines: ['ads'], clients: 3 })
  t.match(said[1], { event: 'run.started', pipeline: 'ads', ...DUE, chunks: 24, reasons: { daily: 24 } })
  t.match(said.slice(-2), [{ event: 'daemon.draining' }, { event: 'daemon.stopped', givenUp: 0 }])
  await exact(t, it, daysOf(DUE))

  const again = startDaemon(it)
  await again.said('daemon.started')
  const idle = await stopped(again)
  t.equal(idle.code, 0)
  t.equal(it.api.asked.length, 24, 'what was answered is not due again')
})

t.test('what does not end within its time is given up, and read by the next', async t => {
  const it = await project(t, { ...PARTS, settings: 'drainSeconds: 0.1,' }, ({ client }) =>
    client === 'globex' ? never : undefined,
  )
  const running = startDaemon(it)
  await through(running, 16)
  const ran = await stopped(running)
  t.equal(ran.code, 130)
  t.match(events(ran).slice(-1), [{ event: 'daemon.stopped', givenUp: 2 }])
  it.api.script = () => undefined
  const next = startDaemon(it)
  await through(next, 8)
  t.equal((await stopped(next)).code, 0)
  await exact(t, it, daysOf(DUE))
})

t.test('what keeps a daemon from starting ends it with 2, and says so', async t => {
  const it = await project(t, PARTS)
  const first = startDaemon(it)
  const port = /"url":"[^"]+:(\d+)"/.exec(await first.said(/"event":"daemon.started".*"url":"[^"]+"/))?.[1] ?? ''
  const taken = await it.headrace('daemon', '--port', port)
  t.equal(taken.code, 2)
  t.match(taken.stderr, `PORT_IN_USE: port ${port} is taken by another process`)
  await stopped(first)
  await it.configure({ ...PARTS, clients: "() => { throw new Error('no directory') }" })
  const nobody = await it.headrace('daemon', '--port', '0')
  t.equal(nobody.code, 2)
  t.match(nobody.stderr, /CLIENTS_UNAVAILABLE: .*no directory/)
})
