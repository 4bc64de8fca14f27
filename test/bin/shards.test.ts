import t from 'tap'
import { shardOf } from '../../bin/shard.ts'
import type { Ran } from './cli.ts'
import { MAY, project } from './project.ts'

const CLIENTS = ['acme', 'globex', 'initech', 'umbrella', 'hooli', 'soylent', 'stark']

t.test(
  'processes that are all shards of a backfill read every chunk exactly once, however each is told which one it is',
  async t => {
    const { api, start, query, headrace } = await project(t, { clients: JSON.stringify(CLIENTS) })
    const told: readonly (readonly [string[], Record<string, string>])[] = [
      [['--shard', '0/3'], {}],
      [[], { CLOUD_RUN_TASK_INDEX: '1', CLOUD_RUN_TASK_COUNT: '3' }],
      [['--shards', '3'], { JOB_COMPLETION_INDEX: '2' }],
    ]
    const ran: Ran[] = await Promise.all(
      told.map(([args, env]) => start(['backfill', ...MAY, ...args, '--same-host', '--json'], { env }).ended),
    )
    t.same(
      ran.map(({ code }) => code),
      [0, 0, 0],
      ran.map(({ stderr }) => stderr).join('\n'),
    )
    const said = ran.map(one => one.json() as { shard: string; clients: number })
    t.same(
      said.map(({ shard }) => shard),
      ['0/3', '1/3', '2/3'],
    )
    t.equal(
      said.reduce((sum, { clients }) => sum + clients, 0),
      CLIENTS.length,
    )
    t.equal(new Set(api.asked.map(({ client, from }) => `${client} ${from}`)).size, CLIENTS.length * 3)
    t.equal(api.asked.length, CLIENTS.length * 3, 'nothing is read twice')
    t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: CLIENTS.length * 3 * 2 }])
    t.equal((await headrace('verify')).code, 0)
  },
)

t.test('a single client is dealt out by its days, and a shard to which nothing falls says so and ends well', async t => {
  const { api, backfill, query } = await project(t, { clients: "['acme']" })
  const ran = await Promise.all([0, 1, 2, 3].map(index => backfill('--shard', `${index}/4`, '--same-host', '--json')))
  t.same(
    ran.map(({ code }) => code),
    [0, 0, 0, 0],
  )
  const runs = ran.map(one => (one.json() as { run: string | null }).run)
  t.equal(runs.filter(run => run === null).length, 1, 'three days, four shards')
  t.same(api.asked.map(({ from }) => from).toSorted(), ['2025-05-01', '2025-05-02', '2025-05-03'])
  t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 6 }])
  t.match((await backfill('--shard', '0/4', '--same-host')).stdout, 'shard 0/4 of 1 client: nothing falls to it.')
})

t.test('a shard that failed is read again by itself, and a dry run shows no more than it would read', async t => {
  const { api, backfill } = await project(t, { clients: JSON.stringify(CLIENTS) })
  const broken = ({ client }: { client: string }) => (client === 'acme' ? { status: 503, body: 'away' } : undefined)
  api.script = broken
  const shardOfAcme = ['--shard', '2/5', '--same-host', '--json']
  const failed = await backfill(...shardOfAcme)
  t.equal(failed.code, 1)
  api.script = () => undefined
  const again = await backfill(...shardOfAcme)
  t.match(again.json(), { resumed: true, exitCode: 0, shard: '2/5' })
  const before = api.asked.length
  const dry = await backfill(...shardOfAcme, '--dry-run')
  t.match(dry.json(), { command: 'plan', clients: (again.json() as { clients: number }).clients })
  t.equal(api.asked.length, before)
})

t.test('shards that would each have a ledger of their own are refused before anything is read', async t => {
  const { api, backfill } = await project(t)
  const ran = await backfill('--shard', '0/2')
  t.equal(ran.code, 2)
  t.match(ran.stderr, 'shard 0/2, but the ledger is a file, and on several hosts each shard would have one of its own')
  t.equal(api.asked.length, 0)
  t.match((await backfill('--shard', '2/2')).stderr, 'It must be i/n, and i from 0 to n - 1.')
})

t.test('whatever does not say which shard of how many is a mistake, and names the variable', t => {
  t.strictSame(shardOf({}, {}), { index: 0, count: 1 })
  t.strictSame(shardOf({}, { JOB_COMPLETION_INDEX: '3' }), { index: 0, count: 1 }, 'nobody said of how many')
  t.strictSame(shardOf({ shard: { index: 1, count: 2 } }, { CLOUD_RUN_TASK_INDEX: '0', CLOUD_RUN_TASK_COUNT: '9' }), {
    index: 1,
    count: 2,
  })
  for (const [options, env, message] of [
    [{ shard: { index: 0, count: 2 }, shards: 2 }, {}, '--shard and --shards exclude each other'],
    [{ shards: 2 }, {}, 'JOB_COMPLETION_INDEX is not set, and there are 2 shards: it counts them from 0'],
    [{ shards: 2 }, { JOB_COMPLETION_INDEX: '2' }, 'JOB_COMPLETION_INDEX is 2, and there are 2 shards: it counts them from 0'],
    [{}, { CLOUD_RUN_TASK_INDEX: '0' }, 'CLOUD_RUN_TASK_INDEX is 0, and nobody says how many shards there are'],
    [{}, { CLOUD_RUN_TASK_COUNT: '3' }, 'CLOUD_RUN_TASK_INDEX is not set, and there are 3 shards: it counts them from 0'],
  ] as const) {
    t.throws(() => shardOf(options, env), { code: 'USAGE', message })
  }
  t.end()
})
