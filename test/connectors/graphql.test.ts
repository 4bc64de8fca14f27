import t from 'tap'
import { graphql } from '../../connectors/graphql/index.ts'
import type { Scripted } from '../servers/http.ts'
import { type Item, items, reading } from './setup.ts'

const QUERY =
  'query($after: String, $day: String) { orders(first: 2, after: $after, day: $day) { nodes { id } pageInfo { hasNextPage endCursor } } }'

/** A connection with some of ten orders, as Shopify and GitHub answer. */
function orders(from: number, to: number, more: boolean, rest: object = {}): Scripted {
  const pageInfo = { hasNextPage: more, endCursor: `c${to}` }
  return { body: { data: { shop: { orders: { nodes: items(from, to), pageInfo, totalCount: 5, ...rest } } } } }
}

function failed(code: string, rest: object = {}, status = 200): Scripted {
  return { status, body: { errors: [{ message: 'no', extensions: { code } }], ...rest } }
}

const connector = (url: string) =>
  graphql<Item>({
    name: 'shop',
    url: `${url}/admin/{client}/graphql.json`,
    query: QUERY,
    variables: { day: 'created_at:>={from} created_at:<{until}' },
    connection: 'shop.orders',
    total: 'totalCount',
    headers: { 'x-access-token': 'k' },
  })

t.test('a connection is read to its end by POST, its cursor in the variables', async t => {
  const { server, read } = await reading(t, [orders(1, 2, true), orders(3, 4, true), orders(5, 5, false)], connector)
  t.same(await read(), { pages: [[1, 2], [3, 4], [5]], error: undefined })
  const day = 'created_at:>=2026-01-01 created_at:<2026-01-04'
  t.same(
    server.received.map(({ method, path, headers, body }) => [method, path, headers['x-access-token'], JSON.parse(body)]),
    [{ day }, { day, after: 'c2' }, { day, after: 'c4' }].map(variables => [
      ...['POST', '/admin/acme/graphql.json', 'k'],
      { query: QUERY, variables },
    ]),
  )
})

t.test('edges are read like nodes', async t => {
  const edges = items(1, 5).map(node => ({ cursor: 'x', node }))
  const { read } = await reading(t, orders(1, 0, false, { edges }), connector)
  t.same(await read(), { pages: [[1, 2, 3, 4, 5]], error: undefined })
})

t.test('an answer with errors is never taken for one, whatever data it has', async t => {
  const data = {
    data: { shop: { orders: { nodes: items(1, 5), pageInfo: { hasNextPage: false, endCursor: null }, totalCount: 5 } } },
  }
  for (const body of [{}, data, { data: null }]) {
    const { read, server } = await reading(t, failed('undefinedField', body), connector)
    const { pages, error } = await read()
    t.match(error, { code: 'API_REFUSED', kind: 'config' })
    t.same(pages, [])
    t.equal(server.received.length, 1, 'it would be wrong again')
  }
})

t.test('a query that costs more than is left waits until there is enough', async t => {
  const cost = { requestedQueryCost: 252, actualQueryCost: null, throttleStatus: { currentlyAvailable: 52, restoreRate: 100 } }
  for (const status of [200, 429]) {
    const throttled = failed('THROTTLED', { extensions: { cost } }, status)
    const { read, client } = await reading(t, [throttled, orders(1, 5, false)], connector)
    t.same(await read(), { pages: [[1, 2, 3, 4, 5]], error: undefined })
    t.equal(client.waits.length, 1)
    t.ok((client.waits[0] ?? 0) >= 2_000, `${client.waits[0]} ms`)
  }
})

t.test('errors that pass are tried again, and those of the credential are told', async t => {
  for (const code of ['INTERNAL_SERVER_ERROR', 'TIMEOUT', 'SERVICE_UNAVAILABLE', 'RATE_LIMITED']) {
    const { read } = await reading(t, [failed(code), orders(1, 5, false)], connector)
    t.equal((await read()).error, undefined, code)
  }
  const github: Scripted = { body: { errors: [{ type: 'RATE_LIMITED' }] } }
  t.equal((await (await reading(t, [github, orders(1, 5, false)], connector)).read()).error, undefined)
  t.match((await (await reading(t, failed('UNAUTHENTICATED'), connector)).read()).error, { code: 'API_REFUSED' })
  const bad: Scripted = { status: 502, body: { errors: [{ message: 'bad gateway' }] } }
  t.equal((await (await reading(t, [bad, orders(1, 5, false)], connector)).read()).error, undefined)
})

t.test('a connection that is not there, or keeps no promise, is an error', async t => {
  for (const [script, message] of [
    [{ body: { data: { shop: null } } }, /no array of records where the connector looks/],
    [orders(1, 5, false, { pageInfo: null }), /data\.shop\.orders\.pageInfo\.hasNextPage is undefined/],
    [orders(1, 5, true, { pageInfo: { hasNextPage: true, endCursor: null } }), /there is no cursor to go on from/],
    [orders(1, 4, false), /makes 4 of 5 records/],
  ] as const) {
    const { read } = await reading(t, script, connector)
    t.match((await read()).error, { code: 'PAGE_MALFORMED', message })
  }
})
