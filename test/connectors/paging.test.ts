import t, { type Test } from 'tap'
import { cursor, nextUrl, offset, type Paging, pageNumber, pageToken } from '../../connectors/rest/index.ts'
import type { Received, Scripted } from '../servers/http.ts'
import { items, setup } from './setup.ts'

const SIZE = { param: 'limit', records: 3 }
const byToken = pageToken({ param: 'token', next: 'meta.next', size: SIZE })

/** One page with the records of the numbers given. */
function page(from: number, to: number, rest: object = {}): Scripted {
  return { body: { data: items(from, to), ...rest } }
}

/** Reads a script of pages to its end; it must end without an error. */
async function readAll(t: Test, script: readonly Scripted[], pages: Paging) {
  const reading = await setup(t, script, { pages })
  const { pages: arrived, error } = await reading.read()
  t.equal(error, undefined)
  const queries = reading.server.received.map(({ path }) =>
    decodeURIComponent(path.replace('/v1/items', '').replaceAll('+', ' ')),
  )
  return { arrived, queries, warnings: reading.warnings }
}

t.test('a page token is followed until there is none', async t => {
  for (const end of [{}, { meta: null }, { meta: {} }, { meta: { next: null } }, { meta: { next: '' } }]) {
    const script = [page(1, 3, { meta: { next: 'a b/c+d=&?é' } }), page(4, 6, { meta: { next: 17 } }), page(7, 8, end)]
    const { arrived, queries, warnings } = await readAll(t, script, byToken)
    t.same(
      arrived,
      [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8],
      ],
      JSON.stringify(end),
    )
    t.same(queries, ['?limit=3', '?limit=3&token=a b/c+d=&?é', '?limit=3&token=17'])
    t.same(warnings, [])
  }
})

t.test('a token arrives at the API exactly as it was given', async t => {
  for (const token of ['a+b', 'a b', 'a%20b', '100%', 'a&limit=1', '#x', 'ü/日本', '=='.repeat(200), '{client}']) {
    const { server, read } = await setup(t, [page(1, 3, { meta: { next: token } }), page(4, 4)], { pages: byToken })
    t.equal((await read()).error, undefined)
    t.equal(server.received[1]?.query.get('token'), token)
    t.equal(server.received[1]?.query.get('limit'), '3')
  }
})

t.test('an empty page with a token goes on, and so does a short one', async t => {
  const more = (next: string): object => ({ meta: { next } })
  const script = [page(1, 0, more('a')), page(1, 1, more('b')), page(1, 0, more('c')), page(2, 4, more('d')), page(1, 0)]
  const { arrived, warnings } = await readAll(t, script, byToken)
  t.same(arrived, [[], [1], [], [2, 3, 4], []])
  t.same(warnings, [])
})

t.test('a last page that is exactly full is worth a warning where only the lack of a next page tells the end', async t => {
  const next = { meta: { next: 'a' } }
  const byUrl = nextUrl({ next: 'meta.next', size: SIZE })
  for (const pages of [byToken, byUrl]) {
    t.same((await readAll(t, [page(1, 3)], pages)).warnings, ['PAGE_FULL_WITHOUT_NEXT'])
    t.same((await readAll(t, [page(1, 3, next), page(4, 6)], pages)).warnings, ['PAGE_FULL_WITHOUT_NEXT'])
    t.same((await readAll(t, [page(1, 3, next), page(4, 5)], pages)).warnings, [])
    t.same((await readAll(t, [page(1, 0)], pages)).warnings, [])
  }
  t.same((await readAll(t, [page(1, 3)], pageToken({ param: 'token', next: 'meta.next' }))).warnings, [], 'no size is known')
  const byCursor = cursor({ param: 'after', more: 'more', last: 'id', size: SIZE })
  t.same((await readAll(t, [page(1, 3, { more: false })], byCursor)).warnings, [], 'the API says that this is the end')
  const byOffset = offset({ param: 'offset', size: SIZE, total: 'total' })
  t.same((await readAll(t, [page(1, 3, { total: 3 })], byOffset)).warnings, [])
})

t.test('a cursor of the body is followed while the body says that there is more', async t => {
  const pages = cursor({ param: 'after', more: 'page.more', next: 'page.end', size: SIZE })
  const at = (more: boolean, end: unknown): object => ({ page: { more, end } })
  const script = [page(1, 3, at(true, 'x')), page(1, 0, at(true, 'y')), page(4, 4, at(false, 'z'))]
  const { arrived, queries } = await readAll(t, script, pages)
  t.same(arrived, [[1, 2, 3], [], [4]], 'the cursor of the last page is not followed')
  t.same(queries, ['?limit=3', '?limit=3&after=x', '?limit=3&after=y'])
})

t.test('a field of the last record is a cursor', async t => {
  const pages = cursor({ param: 'starting_after', more: 'has_more', last: 'id' })
  const { arrived, queries } = await readAll(t, [page(1, 3, { has_more: true }), page(4, 9, { has_more: false })], pages)
  t.same(arrived, [
    [1, 2, 3],
    [4, 5, 6, 7, 8, 9],
  ])
  t.same(queries, ['', '?starting_after=3'])
})

t.test('an offset moves by what was read, up to the total', async t => {
  const pages = offset({ param: 'offset', size: SIZE, total: 'total' })
  const full = await readAll(t, [page(1, 3, { total: 6 }), page(4, 6, { total: 6 })], pages)
  t.same(full.queries, ['?limit=3&offset=0', '?limit=3&offset=3'], 'a full last page needs no other one')
  const clamped = await readAll(t, [page(1, 2, { total: 5 }), page(3, 4, { total: 5 }), page(5, 5, { total: 5 })], pages)
  t.same(
    clamped.queries,
    ['?limit=3&offset=0', '?limit=3&offset=2', '?limit=3&offset=4'],
    'the API gives smaller pages than asked',
  )
  t.same((await readAll(t, [page(1, 0, { total: 0 })], pages)).arrived, [[]])
})

t.test('an offset without a total ends at the first page that is not full', async t => {
  const pages = offset({ param: 'start', size: SIZE })
  const short = await readAll(t, [page(1, 3), page(4, 5)], pages)
  t.same(short.queries, ['?limit=3&start=0', '?limit=3&start=3'])
  const full = await readAll(t, [page(1, 3), page(4, 6), page(7, 6)], pages)
  t.same(full.queries, ['?limit=3&start=0', '?limit=3&start=3', '?limit=3&start=6', '?limit=3&start=6'])
  t.same(full.arrived, [[1, 2, 3], [4, 5, 6], [], []], 'an empty page is believed when it comes twice')
})

t.test('page numbers run to the last page, from wherever the API begins', async t => {
  const counted = [page(1, 3, { pages: 3 }), page(4, 5, { pages: 3 }), page(6, 8, { pages: 3 })]
  for (const first of [0, 1, 7]) {
    const { arrived, queries } = await readAll(t, counted, pageNumber({ param: 'page', size: SIZE, first, pages: 'pages' }))
    t.same(
      arrived,
      [
        [1, 2, 3],
        [4, 5],
        [6, 7, 8],
      ],
      'a page that is not full is not the end',
    )
    t.same(
      queries,
      [first, first + 1, first + 2].map(number => `?limit=3&page=${number}`),
    )
  }
  const plain = pageNumber({ param: 'page', size: SIZE })
  t.same((await readAll(t, [page(1, 3), page(4, 5)], plain)).queries, ['?limit=3&page=1', '?limit=3&page=2'])
  t.same((await readAll(t, [page(1, 3), page(4, 3)], plain)).arrived, [[1, 2, 3], [], []])
  for (const none of [0, 1]) {
    const empty = await readAll(t, [page(1, 0, { pages: none })], pageNumber({ param: 'page', size: SIZE, pages: 'pages' }))
    t.same(empty.arrived, [[]], `${none} pages`)
  }
})

t.test('a next address is followed as it is, absolute or relative', async t => {
  const addresses = (own: string): Record<string, string> => ({
    absolute: `${own}/v1/items?x=a%20b&x=c+d`,
    path: '/v1/items?x=a%20b&x=c+d',
    relative: 'items?x=a%20b&x=c+d',
    query: '?x=a%20b&x=c+d',
  })
  for (const kind of ['absolute', 'path', 'relative', 'query']) {
    const script: Scripted = ({ headers, query }: Received) =>
      query.has('x')
        ? { body: { data: items(4, 4), '@odata.nextLink': null } }
        : { body: { data: items(1, 3), '@odata.nextLink': addresses(`http://${headers.host}`)[kind] } }
    const { server, read } = await setup(t, script, { pages: nextUrl({ next: '@odata.nextLink' }), query: { first: 'only' } })
    t.same(await read(), { pages: [[1, 2, 3], [4]], error: undefined }, kind)
    t.same(
      server.received.map(({ path }) => path),
      ['/v1/items?first=only', '/v1/items?x=a%20b&x=c+d'],
    )
  }
})

t.test('records and tokens are found at the top, at a path, and under keys that contain dots', async t => {
  for (const [records, body] of [
    ['', items(1, 2)],
    ['data', { data: items(1, 2) }],
    ['result.rows', { result: { rows: items(1, 2) } }],
    ['result.v1.rows', { result: { 'v1.rows': items(1, 2) } }],
  ] as const) {
    const { read } = await setup(t, { body }, { records, pages: pageToken({ param: 'token', next: 'next' }) })
    t.same(await read(), { pages: [[1, 2]], error: undefined }, records)
  }
})
