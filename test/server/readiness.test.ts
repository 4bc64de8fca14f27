import t, { type Test } from 'tap'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { publish } from '../published.ts'
import { daemon } from './setup.ts'

const DAY = { from: '2026-01-01', to: '2026-01-01' }
const PATH = '/v1/datasets/ads.campaigns/readiness'

async function started(t: Test) {
  const { server, ledger } = await daemon(t)
  const at = `${server.url}${PATH}`
  return { server, ledger, at, get: (query: string, init: RequestInit = {}) => fetch(`${at}?${query}`, init) }
}

const both = async (ledger: Ledger): Promise<void> => {
  for (const client of ['acme', 'globex']) await publish(ledger, 'campaigns', client, DAY)
}

t.test('readiness is asked of a table by its name, and its answer has a tag', async t => {
  const { ledger, get } = await started(t)
  const before = await get('through=2026-01-01')
  t.equal(before.status, 200)
  t.match(await before.json(), { ready: false, coverage: { clients: { required: 2, complete: 0 } } })
  await both(ledger)
  const after = await get('through=2026-01-01')
  t.match(await after.json(), { ready: true, dataset: 'ads.campaigns' })
  const tag = after.headers.get('etag') ?? ''
  t.match(tag, /^"[\w-]{22}"$/)
  t.not(before.headers.get('etag'), tag)
  const same = await get('through=2026-01-01', { headers: { 'if-none-match': tag } })
  t.equal(same.status, 304)
  t.equal(await same.text(), '')
  t.equal((await get('through=2026-01-01&client=acme', { headers: { 'if-none-match': tag } })).status, 200)
})

t.test('HEAD says it by its status', async t => {
  const { ledger, get } = await started(t)
  t.equal((await get('through=2026-01-01', { method: 'HEAD' })).status, 425)
  await both(ledger)
  t.equal((await get('through=2026-01-01', { method: 'HEAD' })).status, 200)
})

t.test('a question that makes no sense is refused by name', async t => {
  const { server, get } = await started(t)
  const refused = async (answer: Promise<Response>, status: number, message: string): Promise<void> => {
    const response = await answer
    t.equal(response.status, status)
    t.match(await response.json(), { error: { code: 'USAGE', message } })
  }
  await refused(get(''), 400, "querystring must have required property 'through'")
  await refused(get('through=2026-02-30'), 400, 'querystring/through must match format "date"')
  await refused(get('through=2026-01-01&trough=1'), 400, 'querystring must NOT have additional properties')
  await refused(get('through=2026-01-01&through=2026-01-02'), 400, 'querystring/through must be string')
  await refused(get('through=2026-01-01&wait=61'), 400, 'querystring/wait must be <= 60')
  await refused(get('through=2026-01-01&client=nobody'), 404, 'there is no client nobody in the configuration')
  const other = fetch(`${server.url}/v1/datasets/ads.other/readiness?through=2026-01-01`)
  await refused(other, 404, 'there is no table ads.other, only ads.campaigns')
})

t.test('a wait ends when the data is there, not before', async t => {
  const { ledger, get } = await started(t)
  await publish(ledger, 'campaigns', 'acme', DAY)
  let answered = false
  const waiting = get('through=2026-01-01&wait=30').finally(() => {
    answered = true
  })
  const shorter = await get('through=2026-01-01&wait=0.2')
  t.match(await shorter.json(), { ready: false }, 'when the time is up, it is what there is')
  t.notOk(answered)
  await publish(ledger, 'campaigns', 'globex', DAY)
  t.match(await (await waiting).json(), { ready: true })
})

t.test('a wait with a tag ends when anything is different', async t => {
  const { ledger, get } = await started(t)
  const headers = { 'if-none-match': (await get('through=2026-01-01')).headers.get('etag') ?? '' }
  const waiting = get('through=2026-01-01&wait=30', { headers })
  const shorter = await get('through=2026-01-01&wait=0.2', { headers })
  t.equal(shorter.status, 304)
  await publish(ledger, 'campaigns', 'acme', DAY)
  t.match(await (await waiting).json(), { ready: false, coverage: { clients: { complete: 1 } } })
})

t.test('a server that ends answers everybody who waits', async t => {
  const { server, get } = await started(t)
  const waiting = [get('through=2026-01-01&wait=60'), get('through=2026-01-01&client=acme&wait=60')]
  await get('through=2026-01-01&wait=0.1')
  await server.close()
  for (const answer of waiting) t.match(await (await answer).json(), { ready: false })
})

t.test('so many may wait and no more, and who leaves makes room', async t => {
  const { get } = await started(t)
  const leave = new AbortController()
  const waiting = Array.from({ length: 200 }, (_, index) =>
    get(`through=2026-01-0${(index % 9) + 1}&wait=60`, { signal: leave.signal }).then(
      () => 'answered',
      () => 'left',
    ),
  )
  let refused = await get('through=2026-01-01&wait=1')
  while (refused.status === 200) refused = await get('through=2026-01-01&wait=0.01')
  t.equal(refused.status, 503)
  t.match(await refused.json(), { error: { code: 'SERVER_BUSY', message: '200 requests wait already' } })
  t.equal((await get('through=2026-01-01')).status, 200, 'without waiting, it is answered')
  leave.abort()
  t.same(new Set(await Promise.all(waiting)), new Set(['left']))
  let room = await get('through=2026-01-01&wait=0.01')
  while (room.status === 503) room = await get('through=2026-01-01&wait=0.01')
  t.equal(room.status, 200)
})

t.test('a ledger that cannot be read is an error that says so, and never an answer', async t => {
  const { server } = await daemon(t, { files: { 'ledger.sqlite': 'a letter, and no database at all' } })
  const response = await fetch(`${server.url}${PATH}?through=2026-01-01`)
  t.equal(response.status, 503)
  t.match(await response.json(), { error: { code: 'LEDGER_UNUSABLE' } })
})
