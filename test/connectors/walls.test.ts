import t, { type Test } from 'tap'
import { offset, type PagedOptions, pageToken } from '../../connectors/rest/index.ts'
import type { Scripted } from '../servers/http.ts'
import { items, setup } from './setup.ts'

const SIZE = { param: 'limit', records: 5 }
const byStart = offset({ param: 'start', size: SIZE })
const byTotal = offset({ param: 'start', size: SIZE, total: 'total' })

/** An API that holds so many records and shows the first 20. */
function walled(all: number, total = true): Scripted {
  return ({ query }) => {
    const from = Number(query.get('start') ?? 0)
    const to = Math.min(all, 20, from + 5)
    return { body: { data: items(from + 1, to), ...(total ? { total: all } : {}), next: to < Math.min(all, 20) ? to : null } }
  }
}

async function read(t: Test, script: Scripted, options: Partial<PagedOptions> & Pick<PagedOptions, 'pages'>) {
  const reading = await setup(t, script, options)
  const { pages, error } = await reading.read()
  return { read: pages.flat().length, error, warnings: reading.warnings, requests: reading.server.received.length }
}

t.test('a list that reaches the wall of its API is an error that says so', async t => {
  const wall = { records: 20 }
  const blind = await read(t, walled(21, false), { pages: byStart, wall })
  t.match(blind.error, { code: 'WINDOW_TOO_LARGE', message: /page 4: 20 records, and the API shows no more than 20/ })
  t.match((await read(t, walled(20, false), { pages: byStart, wall })).error, { code: 'WINDOW_TOO_LARGE' }, 'exactly full')
  t.match(await read(t, walled(19, false), { pages: byStart, wall }), { read: 19, error: undefined })
})

t.test('with a total the wall is seen from the first page', async t => {
  const wall = { records: 20 }
  const seen = await read(t, walled(21), { pages: byTotal, wall })
  t.match(seen, { requests: 1, error: { code: 'WINDOW_TOO_LARGE', message: /page 1: 21 records in all/ } })
  t.match(await read(t, walled(20), { pages: byTotal, wall }), { read: 20, error: undefined }, 'exactly full and complete')
})

t.test('where the rest cannot be had, reaching the wall is a warning', async t => {
  const wall = { records: 20, reached: 'warn' } as const
  for (const pages of [byStart, byTotal, pageToken({ param: 'start', next: 'next' })]) {
    t.match(await read(t, walled(50, pages !== byStart), { pages, wall }), {
      read: 20,
      error: undefined,
      warnings: ['RESULT_CUT'],
      requests: 4,
    })
    t.match(await read(t, walled(19), { pages, wall }), { read: 19, error: undefined, warnings: [] })
  }
})

t.test('a total is compared with what was read, whatever the style', async t => {
  const pages = pageToken({ param: 'start', next: 'next', total: 'total', size: SIZE })
  t.match(await read(t, walled(20), { pages }), { read: 20, error: undefined, warnings: [] }, 'a full last page is no riddle')
  const short = await read(t, walled(22), { pages })
  t.match(short.error, { code: 'PAGE_MALFORMED', message: /page 4: it is the last one, but makes 20 of 22 records/ })
})

t.test('a total may be written as text, and a total of nothing may be missing', async t => {
  t.match(await read(t, { body: { data: items(1, 5), total: '5' } }, { pages: byTotal }), { read: 5, error: undefined })
  t.match(await read(t, { body: { data: [] } }, { pages: byTotal }), { read: 0, error: undefined })
})

t.test('a body without records is none, if another field shows that it is an answer', async t => {
  const options = { pages: byTotal, emptyShownBy: 'kind' }
  t.match(await read(t, { body: { kind: 'report' } }, options), { read: 0, error: undefined })
  t.match((await read(t, { body: { error: 'quota' } }, options)).error, { code: 'PAGE_MALFORMED', message: /keys error\)/ })
  t.match((await read(t, { body: { kind: 'report', data: 'x' } }, options)).error, { code: 'PAGE_MALFORMED' })
  t.match((await read(t, { body: { kind: 'report' } }, { pages: byTotal })).error, { code: 'PAGE_MALFORMED' })
  const gone = await read(
    t,
    ({ query }) => ({ body: query.get('start') === '0' ? { data: items(1, 5), total: 8 } : { kind: 'report', total: 8 } }),
    options,
  )
  t.match(gone.error, { code: 'PAGE_MALFORMED', message: /it is empty after 5 of 8 records/ })
})
