import t, { type Test } from 'tap'
import { cursor, linkHeader, nextUrl, offset, type Paging, pageNumber, pageToken } from '../../connectors/rest/index.ts'
import { HeadraceError } from '../../lib/errors.ts'
import { type Scripted, serve } from '../servers/http.ts'
import { items, setup } from './setup.ts'

const SIZE = { param: 'limit', records: 3 }
const byToken = pageToken({ param: 'token', next: 'next' })
const byTotal = offset({ param: 'offset', size: SIZE, total: 'total' })
const byCount = pageNumber({ param: 'page', size: SIZE, pages: 'pages' })

function page(from: number, to: number, rest: object = {}): Scripted {
  return { body: { data: items(from, to), ...rest } }
}

/** Reads a script that must end in an error; gives the error and the pages before it. */
async function fail(t: Test, script: Scripted | readonly Scripted[], pages: Paging, options: { maxPages?: number } = {}) {
  const reading = await setup(t, script, { pages, maxPages: 50, ...options })
  const { pages: arrived, error } = await reading.read()
  if (!(error instanceof HeadraceError)) throw new Error(`no error of headrace: ${error}`)
  return { error, arrived, requests: reading.server.received.length }
}

t.test('a cursor that comes a second time is an error, however long the loop', async t => {
  for (const length of [1, 2, 3, 10]) {
    const { error, requests } = await fail(
      t,
      ({ query }) => {
        const at = Number(query.get('token') ?? 0)
        return page(at * 3 + 1, at * 3 + 3, { next: (at % length) + 1 })
      },
      byToken,
    )
    t.match(error, { code: 'PAGE_CURSOR_REPEATED', kind: 'data' }, `a loop of ${length}`)
    t.match(error.message, new RegExp(`/v1/items, page ${length + 1}: .*already read \\(of ${length + 1}\\)`))
    t.equal(requests, length + 1, 'nothing is asked for twice')
  }
})

t.test('a next address that comes a second time is an error', async t => {
  const loop: Scripted = ({ query }) => {
    const at = Number(query.get('p') ?? 0)
    return { body: { data: items(at, at), next: `?p=${(at % 3) + 1}` }, headers: { link: `<?p=${(at % 3) + 1}>; rel=next` } }
  }
  for (const pages of [nextUrl({ next: 'next' }), linkHeader()])
    t.match((await fail(t, loop, pages)).error, { code: 'PAGE_CURSOR_REPEATED' })
})

t.test('a page that was sent before is an error, however long ago', async t => {
  let turn = 0
  const fresh = await fail(t, () => page(1, 3, { next: `fresh-${turn++}` }), byToken)
  t.match(fresh.error, { code: 'PAGE_REPEATED', kind: 'data', message: /page 2 is page 1 again$/ })
  t.same(fresh.arrived, [[1, 2, 3]])
  t.match((await fail(t, page(1, 3), offset({ param: 'offset', size: SIZE }))).error, { code: 'PAGE_REPEATED' })
  t.match((await fail(t, page(1, 3, { pages: 9 }), byCount)).error, { code: 'PAGE_REPEATED' })
  const again = await fail(
    t,
    [
      [1, 3],
      [4, 6],
      [7, 9],
      [4, 6],
    ].map(([from = 0, to = 0]) => page(from, to, { total: 12 })),
    byTotal,
  )
  t.match(again.error, { code: 'PAGE_REPEATED', message: /page 4 is page 2 again$/ })
})

t.test('pages that begin and end alike are two pages', async t => {
  const script = [[1, 2, 9], [1, 3, 9], [1, 9, 2], [7], [8], [], []].map((ids, index, all): Scripted => {
    return { body: { data: ids.map(id => ({ id })), ...(index < all.length - 1 ? { next: index + 1 } : {}) } }
  })
  const { read } = await setup(t, script, { pages: byToken })
  t.same(await read(), { pages: [[1, 2, 9], [1, 3, 9], [1, 9, 2], [7], [8], [], []], error: undefined })
})

t.test('a walk that never ends is stopped', async t => {
  let turn = 0
  const endless: Scripted = () => page(++turn, turn, { next: turn })
  const { error, requests } = await fail(t, endless, byToken, { maxPages: 7 })
  t.match(error, { code: 'PAGES_ENDLESS', kind: 'data', message: /7 pages, and the API names another one/ })
  t.equal(requests, 7)
  const exact = await setup(t, [page(1, 1, { next: 1 }), page(2, 2)], { pages: byToken, maxPages: 2 })
  t.equal((await exact.read()).error, undefined)
})

t.test('a body without an array of records is an error that names what is there', async t => {
  const cases: [unknown, RegExp][] = [
    [{ error: { code: 17 }, request_id: 'r' }, /at data \(the body is an object with the keys error, request_id\)/],
    [{ data: null, meta: {} }, /the keys data, meta\)/],
    [{ data: { id: 1 } }, /the keys data\)/],
    [{ data: 'none' }, /the keys data\)/],
    [{}, /the keys \)/],
    [[{ id: 1 }], /the body is an array of 1\)/],
    ['null', /the body is null\)/],
    ['"maintenance"', /the body is a string\)/],
    ['7', /the body is a number\)/],
    [{ ['k'.repeat(10_000)]: 1 }, /k{300}\)/],
  ]
  for (const [body, message] of cases) {
    const { error, requests } = await fail(t, { body }, byToken)
    t.match(error, { code: 'PAGE_MALFORMED', kind: 'data', message })
    t.equal(requests, 1, 'to ask again would change nothing')
  }
  const later = await fail(t, [page(1, 3, { next: 'a' }), { body: { error: 'quota' } }], byToken)
  t.match(later.error, { code: 'PAGE_MALFORMED', message: /the keys error/ })
  t.same(later.arrived, [[1, 2, 3]])
})

t.test('paging facts of another kind than declared are an error that shows them', async t => {
  const byCursor = cursor({ param: 'after', more: 'more', last: 'id' })
  const byUrl = nextUrl({ next: 'next' })
  const cases: [Paging, object, RegExp][] = [
    [byToken, { next: { token: 'a' } }, /its next token is \{"token":"a"\}/],
    [byToken, { next: false }, /its next token is false/],
    [byToken, { next: 2 ** 53 }, /is 9007199254740992, a number that JSON has rounded/],
    [byCursor, {}, /more is undefined, not true or false/],
    [byCursor, { more: 'yes' }, /more is "yes"/],
    [byCursor, { more: true, data: [] }, /more is true, but there is no cursor/],
    [byCursor, { more: true, data: [{ id: null }] }, /more is true, but there is no cursor/],
    [byTotal, {}, /total is undefined, not a number/],
    [byTotal, { total: 'three' }, /total is "three", not a number/],
    [byTotal, { total: '3e0' }, /total is "3e0", not a number/],
    [byTotal, { total: null, data: [] }, /total is null, not a number/],
    [byTotal, { total: 2 }, /it makes 3 records, but total is 2/],
    [byTotal, { total: 9, data: [] }, /it is empty after 0 of 9 records/],
    [byCount, { pages: null }, /pages is null, not a number/],
    [byUrl, { next: 'http://[' }, /its next address is not a URL/],
    [byUrl, { next: ['a'] }, /its next token is \["a"\]/],
  ]
  for (const [pages, facts, message] of cases) {
    const { error, requests } = await fail(t, page(1, 3, facts), pages)
    t.match(error, { code: 'PAGE_MALFORMED', kind: 'data', message })
    t.equal(requests, 1)
  }
})

t.test('a total that ends before the records do is an error', async t => {
  const { error, arrived } = await fail(
    t,
    [page(1, 3, { total: 9 }), page(4, 6, { total: 9 }), page(1, 0, { total: 9 })],
    byTotal,
  )
  t.match(error, { code: 'PAGE_MALFORMED', message: /page 3: it is empty after 6 of 9 records/ })
  t.same(arrived, [
    [1, 2, 3],
    [4, 5, 6],
  ])
})

t.test('a total that changes between two pages means another reading', async t => {
  for (const total of [8, 10, 6]) {
    const { error } = await fail(t, [page(1, 3, { total: 9 }), page(4, 6, { total })], byTotal)
    t.match(error, { code: 'PAGE_TOTAL_CHANGED', kind: 'transient', message: new RegExp(`total went from 9 to ${total}`) })
  }
  for (const pages of [2, 4]) {
    const { error } = await fail(t, [page(1, 3, { pages: 3 }), page(4, 6, { pages })], byCount)
    t.match(error, { code: 'PAGE_TOTAL_CHANGED', message: new RegExp(`pages went from 3 to ${pages}`) })
  }
})

t.test('an address that leads away from the API is not followed', async t => {
  const stranger = await serve({ body: { data: [] } })
  t.teardown(() => stranger.close())
  for (const address of [`${stranger.url}/v1/items?token=t`, `//${stranger.url.slice(7)}/`, 'file:///etc/passwd', 'data:,x']) {
    for (const pages of [nextUrl({ next: 'next' }), linkHeader()]) {
      const script = { body: { data: items(1, 3), next: address }, headers: { link: `<${address}>; rel="next"` } }
      const { error } = await fail(t, script, pages)
      t.match(error, { code: 'PAGE_MALFORMED', message: /its next address leads away from http:\/\/127\.0\.0\.1:\d+, to / })
      t.notMatch(error.message, /token/)
    }
  }
  t.equal(stranger.received.length, 0)
})

t.test('an expired page token means another reading, but only where there was a token', async t => {
  const expired: Scripted = { status: 400, body: { error: 'EXPIRED_PAGE_TOKEN' } }
  const tokenExpired = { status: 400, body: 'EXPIRED' }
  const midway = await setup(t, [page(1, 3, { next: 'a' }), page(4, 6, { next: 'b' }), expired], { pages: byToken, tokenExpired })
  const { pages, error } = await midway.read()
  t.same(pages, [
    [1, 2, 3],
    [4, 5, 6],
  ])
  t.match(error, { code: 'PAGE_TOKEN_EXPIRED', kind: 'transient' })
  const any = await setup(t, [page(1, 3, { next: 'a' }), { status: 410 }], { pages: byToken, tokenExpired: { status: 410 } })
  t.match((await any.read()).error, { code: 'PAGE_TOKEN_EXPIRED' })
  const first = await setup(t, expired, { pages: byToken, tokenExpired })
  t.match((await first.read()).error, { code: 'API_REFUSED' })
  for (const alike of [
    { status: 400, body: 'NO' },
    { status: 403, body: 'EXPIRED' },
  ]) {
    const other = await setup(t, [page(1, 3, { next: 'a' }), alike], { pages: byToken, tokenExpired })
    t.match((await other.read()).error, { code: 'API_REFUSED' })
  }
})
