import t, { type Test } from 'tap'
import { lastId, offset, type Paging, pageNumber } from '../../connectors/rest/index.ts'
import type { Scripted } from '../servers/http.ts'
import { items, setup } from './setup.ts'

const SIZE = { param: 'limit', records: 10 }

/** The styles whose end nothing but the size of a page tells. */
const STYLES: readonly [
  name: string,
  pages: (end?: 'short' | 'empty') => Paging,
  start: (query: URLSearchParams, cap: number) => number,
][] = [
  ['offset', (end = 'short') => offset({ param: 'start', size: SIZE, end }), query => Number(query.get('start'))],
  [
    'first record is number 1',
    (end = 'short') => offset({ param: 'start', size: SIZE, first: 1, end }),
    query => Number(query.get('start')) - 1,
  ],
  [
    'page number',
    (end = 'short') => pageNumber({ param: 'page', size: SIZE, end }),
    (query, cap) => (Number(query.get('page')) - 1) * cap,
  ],
  ['last id', (end = 'short') => lastId({ param: 'after', id: 'id', size: SIZE, end }), query => Number(query.get('after') ?? 0)],
]

/** Reads so many records from an API that gives at most `cap` at once; gives how many arrived and how many requests that took. */
async function read(t: Test, pages: Paging, start: (query: URLSearchParams, cap: number) => number, all: number, cap: number) {
  const script: Scripted = ({ query }) => {
    const from = start(query, cap)
    return { body: { data: items(from + 1, Math.min(all, from + Math.min(cap, Number(query.get('limit'))))) } }
  }
  const reading = await setup(t, script, { pages })
  const { pages: arrived, error } = await reading.read()
  t.equal(error, undefined)
  t.same(
    arrived.flat(),
    items(1, all).map(({ id }) => id),
  )
  return reading.server.received.length
}

for (const [name, pages, start] of STYLES) {
  t.test(`${name}: an API that gives fewer records than it is asked for is read to the end`, async t => {
    const style = pages()
    for (const all of [0, 1, 3, 4, 7, 8, 9, 23, 40]) await read(t, style, start, all, 4)
  })

  t.test(`${name}: a short page is believed to be the last one as soon as a full one was seen`, async t => {
    const style = pages()
    t.equal(await read(t, style, start, 7, 10), 3, 'nothing is known yet: the page after it is asked for, twice as it is empty')
    t.equal(await read(t, style, start, 6, 10), 1, 'a smaller page than one that was the last')
    t.equal(await read(t, style, start, 8, 10), 3, 'a larger one')
    t.equal(await read(t, style, start, 14, 10), 2, 'after a full one')
    t.equal(await read(t, style, start, 9, 10), 1, 'a full one was seen')
    t.equal(await read(t, style, start, 0, 10), 2, 'no records at all: that too is asked twice')
  })

  t.test(`${name}: where only an empty page is the end, short ones never are`, async t => {
    const style = pages('empty')
    await read(t, style, start, 30, 10)
    t.equal(await read(t, style, start, 7, 10), 3)
  })
}

t.test('an empty page in the middle is asked for again', async t => {
  for (const [name, pages, start] of STYLES) {
    let slips = 1
    const script: Scripted = ({ query }) => {
      const from = start(query, 10)
      if (from === 20 && slips-- > 0) return { body: { data: [] } }
      return { body: { data: items(from + 1, Math.min(25, from + 10)) } }
    }
    const reading = await setup(t, script, { pages: pages() })
    const { pages: arrived, error } = await reading.read()
    t.equal(error, undefined)
    t.equal(arrived.flat().length, 25, name)
    t.equal(reading.server.received.length, 4)
  }
})

t.test('pages that leave records out after they were cut are read to the end', async t => {
  const kept = items(1, 60).filter(({ id }) => id % 3 === 0)
  const script: Scripted = ({ query }) => {
    const from = Number(query.get('page')) * 10
    return { body: { data: kept.filter(({ id }) => id > from - 10 && id <= from) } }
  }
  const { read } = await setup(t, script, { pages: pageNumber({ param: 'page', size: SIZE, end: 'empty' }) })
  const { pages, error } = await read()
  t.equal(error, undefined)
  t.equal(pages.flat().length, 20)
})

t.test('a last record without an id is an error, and so is an id that does not move', async t => {
  const pages = lastId({ param: 'after', id: 'id', size: { param: 'limit', records: 3 } })
  const nameless = await setup(t, { body: { data: [{ id: 1 }, { id: 2 }, {}] } }, { pages })
  t.match((await nameless.read()).error, { code: 'PAGE_MALFORMED', message: /its last record has no id to go on from/ })
  const stuck = await setup(t, [{ body: { data: items(1, 3) } }, { body: { data: [{ id: 5 }, { id: 4 }, { id: 3 }] } }], {
    pages,
  })
  t.match((await stuck.read()).error, { code: 'PAGE_CURSOR_REPEATED' })
})
