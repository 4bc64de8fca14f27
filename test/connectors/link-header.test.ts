import t from 'tap'
import { linkHeader } from '../../connectors/rest/index.ts'
import { items, setup } from './setup.ts'

const url = new URL('https://api.example.com/v1/items?page=1')

/** The address that follows, as path and query; undefined at the end. */
function next(link: string | string[] | undefined): string | undefined {
  const headers = link === undefined ? {} : { link }
  const facts = {
    body: [],
    headers,
    records: [],
    url,
    page: 1,
    read: 0,
    previous: undefined,
    total: undefined,
    pageCount: undefined,
  }
  const found = linkHeader().next(facts)
  return typeof found === 'object' && 'url' in found ? found.url.href.replace(url.origin, '') : undefined
}

t.test('the link with the relation next is the next page', async t => {
  const target = 'https://api.example.com/v1/items?page=2'
  const cases: [string | string[] | undefined, string | undefined][] = [
    [`<${target}>; rel="next"`, '/v1/items?page=2'],
    [`<${target}>; rel=next`, '/v1/items?page=2'],
    [`<${target}>;rel="next"`, '/v1/items?page=2'],
    [`  <${target}>  ;  rel  =  "next"  `, '/v1/items?page=2'],
    [`<${target}>; REL="NEXT"`, '/v1/items?page=2'],
    [`<${target}>; rel="prev next"`, '/v1/items?page=2'],
    [`<${target}>; rel="next  last"; title="x"`, '/v1/items?page=2'],
    [`<${target}>; title="a, <b>; rel=prev"; rel="next"`, '/v1/items?page=2'],
    [`<${target}>; title="say \\"rel=next\\""; rel="prev"`, undefined],
    [`<${target}>; crossorigin; rel="next"`, '/v1/items?page=2'],
    [`<?page=0>; rel="prev", <${target}>; rel="next", <?page=9>; rel="last"`, '/v1/items?page=2'],
    [`<?page=9>; rel="last",<?page=2>; rel="next"`, '/v1/items?page=2'],
    [['<?page=0>; rel="prev"', '<?page=2>; rel="next"'], '/v1/items?page=2'],
    ['</v2/items?a=1,2;3&b=(4)>; rel="next"', '/v2/items?a=1,2;3&b=(4)'],
    ['<items?page=2>; rel="next"', '/v1/items?page=2'],
    ['<?page=2>; rel="nextish"', undefined],
    ['<?page=2>; rel="https://example.com/next"', undefined],
    ['<?page=2>; title="next"', undefined],
    ['<?page=2>; xrel="next"', undefined],
    ['<?page=2>', undefined],
    ['?page=2; rel="next"', undefined],
    ['', undefined],
    [undefined, undefined],
  ]
  for (const [header, expected] of cases) t.equal(next(header), expected, JSON.stringify(header))
})

t.test('a long header that is no list of links is read in a moment', async t => {
  // Such a header would take hours if the pattern could read it in many ways.
  for (const block of ['<a>; ', ';a=b ', '<a>;x="', '; rel = ', '\\"', ' ', '<'])
    t.equal(next(`<?page=2>; rel="prev"${block.repeat(16_000 / block.length)}`), undefined, block)
})

t.test('links are followed over the wire, until an answer has none', async t => {
  const { server, read, warnings } = await setup(
    t,
    [
      { body: { data: items(1, 2) }, headers: { link: ['<?page=9>; rel="last"', '<?page=2&size=2>; rel="next"'] } },
      { body: { data: items(3, 4) }, headers: { link: '</v1/items?page=3>; rel="next", <?page=1>; rel="first"' } },
      { body: { data: items(5, 6) }, headers: { link: '<?page=1>; rel="first"' } },
    ],
    { pages: linkHeader({ size: { param: 'size', records: 2 } }) },
  )
  t.same(await read(), {
    pages: [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    error: undefined,
  })
  t.same(
    server.received.map(({ path }) => path),
    ['/v1/items?size=2', '/v1/items?page=2&size=2', '/v1/items?page=3'],
  )
  t.same(warnings, ['PAGE_FULL_WITHOUT_NEXT'])
})
