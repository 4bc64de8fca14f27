import assert from 'node:assert/strict'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { MIGRATIONS } from '../../../lib/ledger/sql/schema.ts'
import { begin, chunksOf, claimOf, PROBLEM, publishAll, request, summaryOf } from '../../../lib/testing/ledger-case.ts'
import { PASSWORD, type PostgresServer } from '../../support/postgres.ts'
import { freePort } from '../free-port.ts'
import { step } from './step.ts'

export async function refusals(server: PostgresServer): Promise<void> {
  const told: string[] = []
  const refused = async (url: string, message: RegExp): Promise<void> => {
    const ledger = postgres({ url })
    await assert.rejects(ledger.clients('p'), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'LEDGER_UNUSABLE')
      assert.match(error.message, message)
      told.push(error.message)
      return true
    })
    await ledger.close()
  }
  const wrong = server.url().replace('headrace:', 'headrace:wrong-')
  await refused(wrong, /password authentication failed/)
  await refused(server.url('nowhere'), /database "nowhere" does not exist/)
  await refused(server.url('postgres', await freePort()), /ECONNREFUSED/)

  const newer = await server.database('newer')
  const ledger = postgres({ url: newer })
  assert.deepEqual(await ledger.clients('p'), [])
  await ledger.close()
  await server.query(newer, 'UPDATE headrace.schema_version SET version = version + 1')
  await refused(newer, new RegExp(`is of version ${MIGRATIONS.length + 1}, this headrace knows ${MIGRATIONS.length}`))

  const homes = await server.database('homes')
  const [here, there] = ['here 1 1', 'there 1 1'].map(owner => postgres({ url: homes, owner }))
  assert.equal(await here?.keepHome?.('p', { path: '/data/x', id: '1' }), undefined)
  assert.deepEqual(await there?.keepHome?.('p', { path: '/data/y', id: null }), { path: '/data/x', id: '1', host: 'here' })
  await here?.close()
  await there?.close()

  const other = await server.database('other')
  await server.query(other, 'CREATE SCHEMA headrace')
  await server.query(other, 'CREATE TABLE headrace.run (id BIGINT)')
  await refused(other, /the schema headrace holds tables of another program/)
  for (const message of told)
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD)]) assert.ok(!message.includes(secret), message)
  step('what cannot be opened is refused by name, without the password', { ways: told.length })
}

/** What SQLite keeps and PostgreSQL would not, and requests that name very many clients. */
export async function values(server: PostgresServer): Promise<void> {
  const ledger = postgres({ url: await server.database('contents') })
  const clients = Array.from({ length: 3_000 }, (_, index) => `client-${index}-${Math.random()}`)
  const asked = request({ clients, window: { from: '2026-01-01', to: '2026-01-10' } })
  const begun = performance.now()
  const run = await ledger.beginRun(asked, chunksOf(asked))
  const took = Math.round(performance.now() - begun)
  assert.equal((await ledger.beginRun(asked, [])).id, run.id)
  const claim = await claimOf(ledger, run)
  const problem = { ...PROBLEM, message: 'a \0 b \ud800 c' }
  await ledger.settle(claim.attemptId, { state: 'failed', problem, certain: true }, summaryOf(claim))
  assert.equal((await ledger.problems('p', run.id, 1))[0]?.problem?.message, 'a \ufffd b \ufffd c')
  const small = await begin(ledger, { pipeline: 'q', window: { from: '2026-01-01', to: '2026-03-31' } })
  const before = performance.now()
  const published = await publishAll(ledger, small)
  step('a run of many chunks begins', { chunks: chunksOf(asked).length, milliseconds: took })
  step('chunks from claim to published, one after the other', {
    perSecond: Math.round((published * 1_000) / (performance.now() - before)),
  })
  await ledger.close()
}
