import { hostname } from 'node:os'
import t from 'tap'
import { openLedger } from '../support/run.ts'
import { project } from './project.ts'

t.test(
  'a person approves what is held and retries what failed, by the names that status shows, and it is kept who did',
  async t => {
    const { headrace, backfill, api, folder } = await project(t)
    api.script = ({ client }) => (client === 'acme' ? { body: { data: 'none' } } : { status: 500, body: '' })
    t.equal((await backfill()).code, 42)
    t.match((await headrace('status')).stdout, 'held: acme, 2025-05-01')
    const approved = await headrace('approve', '--client', 'acme', '--from', '2025-05-01')
    t.equal(approved.code, 0)
    t.equal(approved.stdout, 'ads/acme/2025-05-01: the daemon reads it again, and publishes what comes\n')
    const retried = await headrace('retry', '--client', 'globex', '--from', '2025-05-02', '--json')
    t.match(retried.json(), { command: 'retry', pipeline: 'ads', client: 'globex', from: '2025-05-02', to: '2025-05-02' })
    const status = (await headrace('status')).stdout
    t.notMatch(status, 'held: acme, 2025-05-01')
    t.match(status, 'held: acme, 2025-05-02')
    t.notMatch(status, 'failed: globex, 2025-05-02')
    const ledger = openLedger(folder)
    const actions = await ledger.actions(10)
    await ledger.close()
    t.match(actions.map(({ action, outcome }) => [action, outcome]).sort(), [
      ['approve', 'was held'],
      ['retry', 'was failed'],
    ])
    t.ok(actions.every(({ who }) => who.endsWith(` on ${hostname()}`)))
  },
)

t.test('what needs nobody is refused by name', async t => {
  const { headrace, backfill } = await project(t)
  await backfill()
  for (const [action, message] of [
    ['approve', 'ads: no chunk of acme that begins on 2025-05-01 is held'],
    ['retry', 'ads: no chunk of acme that begins on 2025-05-01 needs another chance'],
  ] as const) {
    const ran = await headrace(action, '--client', 'acme', '--from', '2025-05-01')
    t.equal(ran.code, 2)
    t.match(ran.stderr, message)
  }
  t.match((await headrace('retry', '--client', 'acme', '--from', 'today')).stderr, '--from today is not a day')
})
