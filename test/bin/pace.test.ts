import t from 'tap'
import { MAY, project } from './project.ts'

t.test('a backfill keeps the limits that its connector declares, and so does the next one', async t => {
  const asked: number[] = []
  const { backfill } = await project(
    t,
    { source: "api: { limits: [{ per: 'app', requests: 5, seconds: 1, burst: 1 }] }," },
    () => {
      asked.push(Date.now())
      return undefined
    },
  )
  for (const force of [[], ['--force']]) t.equal((await backfill('--concurrency', '6', ...force)).code, 0)
  t.equal(asked.length, 12)
  // Six at five a second take a second from the first to the last, but for what happens on the way to the server.
  for (const first of [0, 6]) {
    const took = (asked[first + 5] ?? 0) - (asked[first] ?? 0)
    t.ok(took >= 600, `six requests took ${took} ms`)
  }
})

t.test('limits that make no sense stop a backfill before anything is read', async t => {
  const { headrace, api } = await project(t, { source: "api: { limits: [{ per: 'app', requests: 0, seconds: 1 }] }," })
  const ran = await headrace('backfill', ...MAY)
  t.equal(ran.code, 2)
  t.match(ran.stderr, /CONFIG_INVALID: limits of the API ads-api: .*"requests":0.* needs requests and seconds above 0/)
  t.equal(api.asked.length, 0)
})
