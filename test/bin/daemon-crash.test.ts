import t from 'tap'
import { addDays, daysOf, type Window } from '../../lib/chunk.ts'
import { CLIENTS, DUE, exact, finished, PARTS, startDaemon, stopped, through } from './daemon.ts'
import { project } from './project.ts'

t.test('a daemon and a backfill share one ledger and one DuckDB file', async t => {
  const it = await project(t, PARTS)
  const window: Window = { from: addDays(DUE.from, -8), to: addDays(DUE.to, -2) }
  const running = startDaemon(it)
  await through(running, 1)
  const backfills = await Promise.all(
    [CLIENTS.slice(0, 2), CLIENTS.slice(1)].map(clients =>
      it.headrace('backfill', '--from', window.from, '--to', window.to, '--clients', clients.join(',')),
    ),
  )
  t.same(
    backfills.map(({ code }) => code),
    [0, 0],
  )
  await through(running, 24)
  t.equal((await stopped(running)).code, 0)
  await exact(t, it, daysOf({ from: window.from, to: DUE.to }))
})

t.test('a daemon that is killed again and again leaves nothing undone, and nothing double', async t => {
  const it = await project(t, PARTS)
  let asked = 0
  it.api.script = async () => {
    // At every few requests the daemon is killed in mid-work, wherever it is.
    if (++asked % 7 === 0) running.process.kill('SIGKILL')
    return undefined
  }
  let running = startDaemon(it)
  for (let round = 0; round < 3; round++) {
    t.equal((await running.ended).signal, 'SIGKILL')
    running = startDaemon(it)
  }
  it.api.script = () => undefined
  await finished(it)
  t.equal((await stopped(running)).code, 0)
  await exact(t, it, daysOf(DUE))
})

t.test('a daemon that stands still for longer than its lease is refused when it goes on', async t => {
  const it = await project(t, PARTS)
  const held = Promise.withResolvers<undefined>()
  // The first daemon waits for a page of globex; the second gets it at once.
  it.api.script = ({ client, from, times }) => (client === 'globex' && from === DUE.to && times === 1 ? held.promise : undefined)
  const zombie = startDaemon(it)
  await it.api.request(({ client, from }) => client === 'globex' && from === DUE.to)
  zombie.process.kill('SIGSTOP')
  const heir = startDaemon(it)
  await it.api.request(({ client, from, times }) => client === 'globex' && from === DUE.to && times === 2)
  await finished(it)
  held.resolve(undefined)
  zombie.process.kill('SIGCONT')
  await zombie.said('"code":"LEASE_LOST"')
  t.equal((await stopped(zombie)).code, 0)
  t.equal((await stopped(heir)).code, 0)
  await exact(t, it, daysOf(DUE))
})
