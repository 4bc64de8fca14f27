import t from 'tap'
import { cursor, lastId, linkHeader, offset, pageToken } from '../../connectors/rest/index.ts'
import { items, setup } from './setup.ts'

t.test('a body is sent with every page, and the parameters of the paging are set in it', async t => {
  const body = {
    site: 'sc:{client}',
    range: [{ startDate: '{from}', endDate: '{to}', before: '{until}' }],
    dimensions: ['{other}', 'query'],
    exact: true,
    none: null,
    absent: undefined,
  }
  const pages = offset({ param: 'page.startRow', size: { param: 'page.rowLimit', records: 3 } })
  const { server, read } = await setup(t, [{ body: { data: items(1, 3) } }, { body: { data: items(4, 5) } }], {
    ...{ pages, body, headers: { authorization: 'Bearer k' }, query: { alt: 'json' } },
  })
  t.same(await read(), {
    pages: [
      [1, 2, 3],
      [4, 5],
    ],
    error: undefined,
  })
  t.same(
    server.received.map(({ method, path, headers }) => [method, path, headers['content-type'], headers.authorization]),
    Array(2).fill(['POST', '/v1/items?alt=json', 'application/json', 'Bearer k']),
  )
  t.same(
    server.received.map(received => JSON.parse(received.body)),
    [0, 3].map(startRow => ({
      site: 'sc:acme',
      range: [{ startDate: '2026-01-01', endDate: '2026-01-03', before: '2026-01-04' }],
      dimensions: ['{other}', 'query'],
      exact: true,
      none: null,
      page: { startRow, rowLimit: 3 },
    })),
  )
})

t.test('a token goes into the body as it came, and beside what is there', async t => {
  for (const token of ['a&b', 17]) {
    const pages = cursor({ param: 'variables.after', more: 'more', next: 'end' })
    const script = [{ body: { data: items(1, 2), more: true, end: token } }, { body: { data: items(3, 3), more: false } }]
    const { server, read } = await setup(t, script, { pages, body: { query: '{}', variables: { n: 1 } } })
    t.equal((await read()).error, undefined)
    t.same(
      server.received.map(received => JSON.parse(received.body)),
      [
        { query: '{}', variables: { n: 1 } },
        { query: '{}', variables: { n: 1, after: token } },
      ],
    )
  }
})

t.test('a parameter may stand within an array of the body', async t => {
  const pages = lastId({ param: 'filters.1.value', id: 'id', size: { param: 'limit', records: 2 } })
  const body = {
    filters: [
      { name: 'day', value: '{from}' },
      { name: 'id', value: 0 },
    ],
  }
  const { server, read } = await setup(t, [{ body: { data: items(1, 2) } }, { body: { data: items(3, 3) } }], { pages, body })
  t.equal((await read()).error, undefined)
  t.same(
    server.received.map(received => JSON.parse(received.body).filters.map(({ value }: { value: unknown }) => value)),
    [
      ['2026-01-01', 0],
      ['2026-01-01', 2],
    ],
  )
})

t.test('a token that stands for the whole query is sent alone', async t => {
  const pages = pageToken({ param: 'page_info', next: 'next', size: { param: 'limit', records: 2 }, alone: true })
  const script = [{ body: { data: items(1, 2), next: 'x' } }, { body: { data: items(3, 3) } }]
  const get = await setup(t, script, { pages, query: { since: '{from}' } })
  t.equal((await get.read()).error, undefined)
  t.same(
    get.server.received.map(({ path }) => path),
    ['/v1/items?since=2026-01-01&limit=2', '/v1/items?limit=2&page_info=x'],
  )
  const post = await setup(t, script, { pages, body: { since: '{from}' } })
  t.equal((await post.read()).error, undefined)
  t.same(JSON.parse(post.server.received[1]?.body ?? ''), { limit: 2, page_info: 'x' })
})

t.test('a next address is asked for with the same body', async t => {
  const script = [{ body: { data: items(1, 2) }, headers: { link: '<?page=2>; rel=next' } }, { body: { data: items(3, 3) } }]
  const { server, read } = await setup(t, script, { pages: linkHeader(), body: { a: 1 } })
  t.equal((await read()).error, undefined)
  t.same(
    server.received.map(({ method, path, body }) => [method, path, body]),
    [
      ['POST', '/v1/items', '{"a":1}'],
      ['POST', '/v1/items?page=2', '{"a":1}'],
    ],
  )
})

t.test('records may be taken out of the body by a function', async t => {
  const body = { header: ['id'], rows: [[1], [2]] }
  const records = (answer: unknown): unknown => (answer as typeof body).rows.map(([id]) => ({ id }))
  const pages = pageToken({ param: 'token', next: 'next' })
  t.same(await (await setup(t, { body }, { records, pages })).read(), { pages: [[1, 2]], error: undefined })
  const none = await setup(t, { body }, { records: () => undefined, pages })
  t.match((await none.read()).error, { code: 'PAGE_MALFORMED', message: /no array of records where the connector looks/ })
  const broken = await setup(t, { body: { error: 'no' } }, { records, pages })
  t.match((await broken.read()).error, {
    code: 'PAGE_MALFORMED',
    message: /page 1: the connector cannot read the body \(TypeError: .*; the body is an object with the keys error\)/,
  })
})
