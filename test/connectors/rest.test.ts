import t from 'tap'
import { pageToken } from '../../connectors/rest/index.ts'
import { openClient } from '../http/setup.ts'
import { type Scripted, SILENCE, serve } from '../servers/http.ts'
import { items, setup } from './setup.ts'

const byToken = pageToken({ param: 'token', next: 'next', size: { param: 'limit', records: 2 } })

function page(from: number, to: number, next?: unknown): Scripted {
  return { body: { data: items(from, to), next } }
}

/** Gives a request that should not have been sent the time to arrive: that of ten others. */
async function settle(): Promise<void> {
  const server = await serve(page(1, 1))
  const client = openClient()
  for (let n = 0; n < 10; n++) await client.http.json(server.url)
  await client.destroy()
  await server.close()
}

t.test('client and window stand where the address and the query name them', async t => {
  const { server, read } = await setup(
    t,
    page(1, 1),
    {
      pages: byToken,
      query: { account: '{client}', range: '{from}..{to}', filter: "id = '{client}' AND x = '{other}'", days: 3 },
    },
    { client: 'a&b=c {from} $& ü' },
  )
  t.equal((await read()).error, undefined)
  t.same(Object.fromEntries(server.received[0]?.query ?? []), {
    account: 'a&b=c {from} $& ü',
    range: '2026-01-01..2026-01-03',
    filter: "id = 'a&b=c {from} $& ü' AND x = '{other}'",
    days: '3',
    limit: '2',
  })
})

t.test('a client id stays one part of the path, whatever it contains', async t => {
  for (const client of ['a/b', 'a b', 'ü/日本', 'a?b=c', 'a#b', '100%', 'a%2Fb', '../admin', 'act_1:2;3', '{from}']) {
    const server = await serve(page(1, 1))
    t.teardown(() => server.close())
    const url = (): string => `${server.url}/v1/{client}/items?day={from}&of={client}`
    const { read } = await setup(t, page(1, 1), { pages: byToken, url }, { client })
    t.equal((await read()).error, undefined)
    const { pathname, searchParams } = new URL(server.received[0]?.path ?? '', server.url)
    t.same(pathname.split('/').map(decodeURIComponent), ['', 'v1', client, 'items'])
    t.same(Object.fromEntries(searchParams), { day: '2026-01-01', of: client, limit: '2' })
  }
})

t.test('an address that is none stops at once', async t => {
  for (const url of ['api.example.com/items?key=secret', '/v1/items', 'https://{client}/items']) {
    const { read, client } = await setup(t, page(1, 1), { pages: byToken, url }, { client: 'no host' })
    const { error } = await read()
    t.match(error, { code: 'CONFIG_INVALID', kind: 'config', message: /^connector items: ".*" is not an absolute address$/ })
    t.notMatch(error instanceof Error ? error.message : '', /secret/)
    t.equal(client.http.usage.requests, 0)
  }
})

t.test('headers are sent with every page, and a function gives new ones each time', async t => {
  const script = [page(1, 2, 'a'), page(3, 4, 'b'), page(5, 5)]
  const fixed = await setup(t, script, { pages: byToken, headers: { authorization: 'Bearer k' } })
  t.equal((await fixed.read()).error, undefined)
  t.same(
    fixed.server.received.map(({ headers }) => headers.authorization),
    ['Bearer k', 'Bearer k', 'Bearer k'],
  )
  let turn = 0
  const fresh = await setup(t, script, { pages: byToken, headers: () => ({ authorization: `Bearer ${++turn}` }) })
  t.equal((await fresh.read()).error, undefined)
  t.same(
    fresh.server.received.map(({ headers }) => headers.authorization),
    ['Bearer 1', 'Bearer 2', 'Bearer 3'],
  )
})

t.test('a connector may be read again, and several times at once', async t => {
  const script: Scripted = ({ query }) => (query.has('token') ? page(3, 3) : page(1, 2, 'a'))
  const { read } = await setup(t, script, { pages: byToken })
  const expected = { pages: [[1, 2], [3]], error: undefined }
  t.same(await read(), expected)
  t.same(await Promise.all([read(), read(), read()]), [expected, expected, expected])
})

t.test('exactly one page is asked for while another is being used', async t => {
  let turn = 0
  const { server, pages } = await setup(t, () => page(++turn, turn, turn), { pages: byToken })
  const reading = pages()
  t.equal(server.received.length, 0, 'nothing is asked for before anybody wants it')
  for (let used = 1; used <= 5; used++) {
    t.same((await reading.next()).value, [{ id: used }])
    await server.arrived(used + 1)
    await settle()
    t.equal(server.received.length, used + 1)
  }
  await reading.return(undefined)
})

t.test('a consumer that stops early leaves no rejection behind', async t => {
  const rejections: unknown[] = []
  const note = (reason: unknown): void => void rejections.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => void process.off('unhandledRejection', note))
  for (const ahead of [SILENCE, page(3, 3), { status: 403 }, { body: 'broken' }] satisfies Scripted[]) {
    for (const leave of ['return', 'throw'] as const) {
      const { server, client, pages } = await setup(t, [page(1, 2, 'a'), ahead], { pages: byToken })
      const stop = new Error('enough')
      const reading = async (): Promise<void> => {
        for await (const _ of pages()) {
          await server.arrived(2)
          if (leave === 'throw') throw stop
          return
        }
      }
      t.equal(await reading().catch(error => error), leave === 'throw' ? stop : undefined)
      client.abort.abort()
      await settle()
    }
  }
  t.same(rejections, [])
})

t.test('an error of the page asked for ahead comes after the page before it', async t => {
  for (const [ahead, code] of [
    [{ status: 403, body: 'no' }, 'API_REFUSED'],
    [{ body: { error: 'no' } }, 'PAGE_MALFORMED'],
  ] as const) {
    const { server, pages } = await setup(t, [page(1, 2, 'a'), ahead], { pages: byToken })
    const reading = pages()
    t.same((await reading.next()).value, items(1, 2))
    await server.arrived(2)
    await settle()
    await t.rejects(reading.next(), { code })
  }
  let turn = 0
  const headers = (): Record<string, string> => {
    if (++turn === 2) throw new Error('no credential')
    return {}
  }
  const { read } = await setup(t, page(1, 2, 'a'), { pages: byToken, headers })
  t.match(await read(), { pages: [[1, 2]], error: { message: 'no credential' } })
})

t.test('an abort ends the walk while it waits for a page', async t => {
  const { server, client, pages } = await setup(t, [page(1, 2, 'a'), SILENCE], { pages: byToken })
  const reading = pages()
  await reading.next()
  const waiting = reading.next()
  await server.arrived(2)
  const reason = new Error('enough')
  client.abort.abort(reason)
  await t.rejects(waiting, reason)
})
