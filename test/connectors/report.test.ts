import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { jsonArray, jsonLines, type Poll, type ReportOptions, report } from '../../connectors/report/index.ts'
import { nextUrl } from '../../connectors/rest/index.ts'
import { type Scripted, type Server, serve } from '../servers/http.ts'
import { type Item, items, reading } from './setup.ts'

const POLL = {
  state: 'status',
  ready: ['DONE'],
  running: ['QUEUED', 'RUNNING'],
  failed: ['FAILED'],
  expired: ['EXPIRED'],
} satisfies Partial<Poll>

interface Api {
  /** What is said about the report, one after the other; the last for ever. */
  readonly states: readonly (string | object)[]
  readonly created?: Scripted
  readonly file?: Scripted
  readonly options?: Partial<Pick<ReportOptions, 'create' | 'download'>> & { readonly poll?: Partial<Poll> }
  readonly stranger?: Server
}

/** An API with reports, and a connector that reads one. */
async function api(t: Test, { states, created, file, options = {}, stranger }: Api) {
  let turn = 0
  let count = 0
  const answer: Scripted = ({ method, path }) => {
    if (method === 'POST') return created ?? { body: { reportId: `r ${++count}` } }
    if (path.startsWith('/file')) return file ?? { body: items(1, 3) }
    const state = states[Math.min(turn++, states.length - 1)]
    return { body: typeof state === 'string' ? { status: state, url: `${stranger?.url ?? ''}/file?leave=1`, rows: '3' } : state }
  }
  return reading(t, answer, url =>
    report<Item>({
      name: 'reports',
      headers: { authorization: 'Bearer secret-token' },
      create: { url: `${url}/{client}/reports`, body: { from: '{from}', to: '{to}' }, id: 'reportId' },
      download: { file: 'url', format: jsonArray(), total: 'rows' },
      ...options,
      poll: { url: `${url}/{client}/reports/{report}`, ...POLL, ...options.poll },
    }),
  )
}

const asked = (server: Server): string[] => server.received.map(({ method, path }) => `${method} ${path}`)

t.test('a report is created, asked about at growing intervals, and fetched', async t => {
  const { read, server, client } = await api(t, {
    states: ['QUEUED', 'RUNNING', 'RUNNING', 'RUNNING', 'RUNNING', 'RUNNING', 'DONE'],
  })
  t.same(await read(), { pages: [[1, 2, 3]], error: undefined })
  t.same(asked(server), ['POST /acme/reports', ...Array(7).fill('GET /acme/reports/r%201'), 'GET /file?leave=1'])
  t.same(server.received[0]?.body, '{"from":"2026-01-01","to":"2026-01-03"}')
  t.same(client.waits, [5_000, 10_000, 20_000, 40_000, 40_000, 40_000, 40_000])
  t.ok(server.received.every(({ headers }) => headers.authorization === 'Bearer secret-token'))
})

t.test('a file that stands elsewhere is fetched without the credentials', async t => {
  const stranger = await serve({ body: gzipSync(JSON.stringify(items(1, 3))) })
  t.teardown(() => stranger.close())
  const { read } = await api(t, { states: ['DONE'], stranger })
  t.same(await read(), { pages: [[1, 2, 3]], error: undefined })
  t.equal(stranger.received[0]?.headers.authorization, undefined)
})

t.test('a report is read in pages where the API has them', async t => {
  const { read, server } = await reading(
    t,
    ({ method, path }) => {
      if (method === 'POST') return { body: { report_run_id: 777 } }
      if (path === '/777') return { body: { async_status: 'Job Completed', async_percent_completion: 100 } }
      return path.includes('after') ? { body: { data: items(3, 3) } } : { body: { data: items(1, 2), next: `${path}&after=2` } }
    },
    url =>
      report<Item>({
        name: 'insights',
        create: { url: `${url}/act_{client}/insights`, query: { since: '{from}', until: '{to}' }, id: 'report_run_id' },
        poll: {
          url: `${url}/{report}`,
          state: 'async_status',
          ready: ['Job Completed'],
          running: [],
          percent: 'async_percent_completion',
        },
        download: { url: `${url}/{report}/insights`, query: { limit: 2 }, records: 'data', pages: nextUrl({ next: 'next' }) },
      }),
  )
  t.same(await read(), { pages: [[1, 2], [3]], error: undefined })
  t.same(asked(server), [
    'POST /act_acme/insights?since=2026-01-01&until=2026-01-03',
    'GET /777',
    'GET /777/insights?limit=2',
    'GET /777/insights?limit=2&after=2',
  ])
})

t.test('ready is ready only at 100 percent, where there are percents', async t => {
  const at = (percent: number) => ({ status: 'DONE', percent, url: '/file', rows: 3 })
  const { read, client } = await api(t, { states: [at(99), at(100)], options: { poll: { percent: 'percent' } } })
  t.equal((await read()).error, undefined)
  t.equal(client.waits.length, 2)
})

t.test('a report that takes too long is replaced once, and then given up', async t => {
  const { read, server, client } = await api(t, { states: ['RUNNING'], options: { poll: { deadline: 100 } } })
  const { error } = await read()
  t.match(error, { code: 'REPORT_LATE', kind: 'transient', message: /the report is "RUNNING" after 100 s/ })
  t.equal(asked(server).filter(text => text.startsWith('POST')).length, 2)
  t.equal(
    client.waits.reduce((sum, wait) => sum + wait, 0),
    200_000,
  )
  t.ok(asked(server).includes('GET /acme/reports/r%201') && asked(server).includes('GET /acme/reports/r%202'))
})

t.test('a report that has expired is replaced once', async t => {
  const again = await api(t, { states: ['EXPIRED', 'DONE'] })
  t.same(await again.read(), { pages: [[1, 2, 3]], error: undefined })
  t.match((await (await api(t, { states: ['EXPIRED'] })).read()).error, { code: 'REPORT_EXPIRED', kind: 'transient' })
})

t.test('a report that failed is an error, and so is a state that nobody declared', async t => {
  const failed = await api(t, { states: ['RUNNING', 'FAILED'] })
  t.match((await failed.read()).error, { code: 'REPORT_FAILED', kind: 'transient', message: /r%201: the report is "FAILED"/ })
  for (const [state, shown] of [
    ['PAUSED', '"PAUSED"'],
    [{}, '"undefined"'],
    [{ status: null }, '"null"'],
  ] as const) {
    const odd = await api(t, { states: [state] })
    t.match((await odd.read()).error, { code: 'REPORT_MALFORMED', kind: 'data', message: `the state at status is ${shown}` })
  }
})

t.test('a report that is being made already is taken over', async t => {
  const created: Scripted = { status: 425, body: { code: '425', detail: 'The Request is a duplicate of : 1e2d-7' } }
  const duplicate = { status: 425, id: /duplicate of : ([\w-]+)/ }
  const create = (url: string, more: object = {}) => ({ url: `${url}/{client}/reports`, id: 'reportId', ...more })
  const { read, server } = await reading(
    t,
    ({ method, path }) => {
      if (method === 'POST') return created
      return path === '/file' ? { body: items(1, 3) } : { body: { status: 'DONE', url: '/file' } }
    },
    url =>
      report<Item>({
        name: 'r',
        create: create(url, { duplicate }),
        poll: { url: `${url}/{report}`, ...POLL },
        download: { file: 'url', format: jsonArray() },
      }),
  )
  t.same(await read(), { pages: [[1, 2, 3]], error: undefined })
  t.equal(asked(server)[1], 'GET /1e2d-7')
  const nameless = await api(t, {
    states: ['DONE'],
    created: { status: 425, body: {} },
    options: { create: { url: `${server.url}/x`, id: 'id' } },
  })
  t.match((await nameless.read()).error, { code: 'API_REFUSED' }, 'undeclared, it is refused')
})

t.test('to create a report is not tried again when the answer is lost: there would be two', async t => {
  const lost = await api(t, { states: ['DONE'], created: { status: 500 } })
  t.match((await lost.read()).error, { code: 'API_FAILED', kind: 'transient' })
  t.equal(lost.server.received.length, 1)
})

t.test('an answer without an id, an address or a number of records is an error', async t => {
  for (const [one, message] of [
    [{ states: ['DONE'], created: { body: { reportId: null } } }, /acme\/reports: no id of a report at reportId/],
    [{ states: [{ status: 'DONE', rows: 3 }] }, /no address of a file at url \(the body is an object with the keys status, rows/],
    [{ states: [{ status: 'DONE', rows: 3, url: 'http://[' }] }, /no address of a file at url/],
    [{ states: [{ status: 'DONE', url: '/file' }] }, /rows is undefined, not a number of records/],
    [{ states: [{ status: 'DONE', url: '/file', rows: 'all' }] }, /rows is "all", not a number of records/],
  ] as const) {
    t.match((await (await api(t, one)).read()).error, { code: 'REPORT_MALFORMED', kind: 'data', message })
  }
})

t.test('a report of nothing may have no file', async t => {
  for (const url of [null, undefined, '']) {
    t.same(await (await api(t, { states: [{ status: 'DONE', url, rows: 0 }] })).read(), { pages: [], error: undefined })
  }
})

t.test('a file with another number of records than the report is an error', async t => {
  for (const count of [2, 4]) {
    const lines = items(1, count)
      .map(item => `${JSON.stringify(item)}\n`)
      .join('')
    const download = { file: 'url', format: jsonLines(), total: 'rows' }
    const { read } = await api(t, { states: ['DONE'], file: { body: lines }, options: { download } })
    t.match((await read()).error, { code: 'API_BODY_BROKEN', message: `the stream holds ${count} records, not 3` })
  }
})

t.test('a file whose address has run out means another report', async t => {
  const { read } = await api(t, { states: ['DONE'], file: { status: 403, body: '<Error>Request has expired</Error>' } })
  const { error } = await read()
  t.match(error, { code: 'REPORT_EXPIRED', kind: 'transient', message: /\/file: the file of the report cannot be read any more/ })
})
