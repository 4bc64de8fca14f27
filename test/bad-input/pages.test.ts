import t from 'tap'
import { type Answer, recordsOf } from '../bin/api.ts'
import { project } from '../bin/project.ts'

interface BadPage {
  readonly what: string
  readonly answer: Answer
  readonly state: 'failed' | 'held'
  readonly code: string
  readonly says: RegExp
}

const whole = JSON.stringify({ data: recordsOf('client', '2025-05-02') })

const BAD: readonly BadPage[] = [
  {
    what: 'truncated JSON',
    answer: { body: whole.slice(0, -20) },
    state: 'failed',
    code: 'API_BODY_BROKEN',
    says: /\/records answered 200 with .+ that are not JSON/,
  },
  {
    what: 'NaN, which JSON does not have',
    answer: { body: whole.replace('"1.25"', 'NaN') },
    state: 'failed',
    code: 'API_BODY_BROKEN',
    says: /that are not JSON/,
  },
  {
    what: 'a page of HTML with status 200',
    answer: { headers: { 'content-type': 'text/html' }, body: '<html>Please log in</html>' },
    state: 'failed',
    code: 'API_BODY_BROKEN',
    says: /that are not JSON \(<html>Please log in<\/html>\)/,
  },
  {
    what: 'an error in the place of the records',
    answer: { body: { error: 'quota', retry: true } },
    state: 'held',
    code: 'PAGE_MALFORMED',
    says: /no array of records at data \(.*error, retry\)/,
  },
  {
    what: 'one record where a list was promised',
    answer: { body: { data: { account: 'client' } } },
    state: 'held',
    code: 'PAGE_MALFORMED',
    says: /no array of records at data \(.*data\)/,
  },
  {
    what: 'a next page that is neither text nor number',
    answer: { body: { data: recordsOf('client', '2025-05-02'), next: { page: 2 } } },
    state: 'held',
    code: 'PAGE_MALFORMED',
    says: /page 1: its next token is \{"page":2\}/,
  },
  {
    what: 'the same page again and again',
    answer: { body: { data: recordsOf('client', '2025-05-02'), next: 'again' } },
    state: 'held',
    code: 'PAGE_',
    says: /page 2/,
  },
]

t.test('a bad page stops its chunk with an error that says where and what, and nothing else', async t => {
  const clients = BAD.map((_, index) => `client-${index}`)
  const { headrace, backfill, api, query } = await project(
    t,
    { clients: JSON.stringify([...clients, 'good']) },
    ({ client, from }) => (from === '2025-05-02' ? BAD[clients.indexOf(client)]?.answer : undefined),
  )
  const ran = await backfill()
  t.equal(ran.code, 42)
  t.match(ran.stdout, /published +17 +34 +34 +0 +0 +34 +0\n/)
  const status = await headrace('status')
  for (const [index, { what, state, code, says }] of BAD.entries()) {
    const told = status.stdout.split('\n\n').find(text => text.startsWith(`${state}: client-${index}, 2025-05-02\n`))
    t.match(told, `  ${code}`, what)
    t.match(told, says, what)
    t.match(told, /\n {2}Nothing of this chunk was published\. /, what)
  }
  t.same(await query("SELECT count(*)::INTEGER AS rows FROM shop.ads WHERE date = '2025-05-02'"), [{ rows: 2 }])

  api.script = () => undefined
  t.equal((await backfill()).code, 0)
  t.same(await query('SELECT count(*)::INTEGER AS rows FROM shop.ads'), [{ rows: 48 }])
})

t.test('a page that breaks once is asked for again, and nobody is told', async t => {
  const { backfill } = await project(t, { settings: 'requestAttempts: 2,' }, ({ times }) =>
    times === 1 ? { body: '{"data": [' } : undefined,
  )
  const ran = await backfill('--clients', 'acme')
  t.equal(ran.code, 0)
  t.equal(ran.stderr, '3 chunks to read\n')
})
