import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { PostgresDatabase } from '../../../lib/ledger/postgres-database.ts'
import { chunksOf, claimOf, LEASE, PROBLEM, request, stage, summaryOf } from '../../../lib/testing/ledger-case.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { FaultyWay } from './faulty-way.ts'
import { step } from './step.ts'

export async function lostAnswers(server: PostgresServer): Promise<void> {
  const url = await server.database('answers')
  const proxy = new FaultyWay(server.port)
  await proxy.listen()
  const through = postgres({ url: server.url('answers', proxy.port) })
  const count = async (table: string): Promise<number> =>
    Number((await server.query(url, `SELECT count(*) AS rows FROM headrace.${table}`))[0]?.rows)
  try {
    await through.clients('p')
    for (const fault of ['unanswered', 'lost'] as const) {
      const clients = [`${fault} a`, `${fault} b`]
      const asked = request({ clients, window: { from: '2026-01-01', to: '2026-01-01' }, command: 'schedule' })
      const before = { runs: await count('run'), attempts: await count('attempt') }
      const hit = async <T>(work: () => Promise<T>): Promise<T> => {
        const { happened } = proxy
        proxy.fault = fault
        const result = await work()
        assert.equal(proxy.happened, happened + 1, 'the fault happened')
        return result
      }
      const occasions = [{ schedule: 'daily', client: fault, at: 1 }]
      const run = await hit(() => through.beginRun(asked, chunksOf(asked), { served: true, occasions }))
      assert.equal(run?.resumed, false)
      if (run === undefined) return
      assert.equal(await count('run'), before.runs + 1)
      const claim = await hit(() => claimOf(through, run))
      assert.equal(await count('attempt'), before.attempts + 1)
      await hit(() => stage(through, claim))
      await hit(() => through.committing([claim.attemptId]))
      await hit(() => through.published(claim.attemptId, summaryOf(claim), []))
      const failing = await hit(() => claimOf(through, run))
      await hit(() => through.settle(failing.attemptId, { state: 'failed', problem: PROBLEM, certain: true }, summaryOf(failing)))
      assert.equal(await hit(() => through.finishServed()), 1)
      assert.equal(await hit(() => through.revive(run.id, failing.chunk.client, '2026-01-01', false)), true)
      const grant = await hit(() => through.claimGrant(fault, 0, LEASE))
      assert.equal(grant.outcome, 'claimed')
      const tokens = { sealed: 'x', obtainedAt: 1, expiresAt: 2.5, renewAt: null, refreshExpiresAt: null }
      assert.equal(await hit(() => through.renewGrant(fault, 0, tokens)), true)
      assert.equal(await hit(() => through.forgetGrant(fault)), true)
    }
    step('a COMMIT whose answer is lost, or that is lost itself, at every write', { times: proxy.happened })
  } finally {
    await through.close()
    proxy.close()
  }
}

export async function hangs(server: PostgresServer): Promise<void> {
  await server.database('hangs')
  const proxy = new FaultyWay(server.port)
  await proxy.listen()
  const url = server.url('hangs', proxy.port)
  const patience = { lockMs: 300, connectMs: 300, statementMs: 300, patienceMs: 2_000 }
  const db = new PostgresDatabase({ url, name: 'hanging', schema: 'headrace', lock: 'ledger', durable: true, ...patience })
  const ledger = postgres({ url })
  const amounts = { cost: 1, total: 1, depth: 1, intervalMs: 1, spacedMs: 0 } as const
  const wish = { ...amounts, bucket: 'b', priority: 'live', held: undefined, unused: undefined } as const
  const reserve = () => ledger.pace({ throttled: [], returned: [], reservations: [{ afterMs: 0, scopes: [[wish]] }] })
  try {
    await db.now()
    assert.equal((await reserve()).length, 1)
    proxy.fault = 'hanging'
    const begun = performance.now()
    await assert.rejects(db.now(), { code: 'LEDGER_FAILED' })
    assert.equal(await reserve(), 'busy')
    const seconds = (performance.now() - begun) / 1_000
    const asked = db.now()
    await delay(700)
    proxy.fault = 'none'
    assert.ok((await asked) > 0, 'as soon as it answers again')
    step('a server that does not answer', { seconds: Math.round(seconds * 10) / 10 })
  } finally {
    await db.close()
    await ledger.close()
    proxy.close()
  }
}

/** A process that stands still within a transaction keeps the others waiting for ten seconds, and has then lost it. */
export async function standstill(server: PostgresServer): Promise<void> {
  const url = await server.database('standstill')
  const options = {
    url,
    name: 'still',
    schema: 'headrace',
    lock: 'ledger',
    durable: true,
    lockMs: 20_000,
    connectMs: 5_000,
    statementMs: 30_000,
  }
  const [still, other] = [0, 30_000].map(patienceMs => new PostgresDatabase({ ...options, patienceMs }))
  assert.ok(still !== undefined && other !== undefined)
  const row = { pipeline: 'p', fields: '[]', seen_at: 1 }
  const begun = performance.now()
  const reached = Promise.withResolvers<void>()
  const awake = Promise.withResolvers<void>()
  await other.now()
  const lost = still.write(async tx => {
    await tx.insert('shape', [row])
    reached.resolve()
    await awake.promise
    await tx.insert('shape', [{ ...row, pipeline: 'q' }])
  })
  await reached.promise
  await other.write(tx => tx.insert('shape', [{ ...row, pipeline: 'r' }]))
  const seconds = Math.round((performance.now() - begun) / 1_000)
  awake.resolve()
  await assert.rejects(lost, { code: 'LEDGER_FAILED' })
  assert.deepEqual(await other.all('SELECT pipeline FROM shape'), [{ pipeline: 'r' }])
  await still.close()
  await other.close()
  step('a process that stands still within a transaction', { seconds })
}
