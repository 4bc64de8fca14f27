import t from 'tap'
import { publish } from '../published.ts'
import { daemon } from './setup.ts'

/** The middle of January 1970, where the clock of the daemon stands. */
const WEEK = 'week=1970-W01'

t.test('a week is a page for browsers, JSON for everybody else', async t => {
  const { server, ledger } = await daemon(t)
  await publish(ledger, 'campaigns', 'acme', { from: '1969-12-29', to: '1969-12-31' })
  const json = await fetch(`${server.url}/v1/report?${WEEK}`)
  t.match(json.headers.get('content-type'), 'application/json')
  t.match(await json.json(), {
    name: 'Week 1970-W01',
    verdict: { mood: 'good' },
    pipelines: [{ pipeline: 'campaigns', days: { there: 3 } }],
  })
  const page = await fetch(`${server.url}/v1/report?${WEEK}`, {
    headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
  })
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(page.headers.get('content-security-policy'), /^default-src 'none'; style-src 'sha256-/)
  t.equal(page.headers.get('vary'), 'accept')
  t.match(await page.text(), /<h1 class="good">Week 1970-W01 so far is whole: all 3 days are there/)
})

t.test('a week that is none is refused, and says why', async t => {
  const { server } = await daemon(t)
  for (const [query, message] of [
    ['week=1970-W54', '--week 1970-W54 is not a week'],
    ['week=1971-W01', '1971-01-04 has not begun'],
    ['from=1970-01-01', '--to is missing'],
  ] as const) {
    const response = await fetch(`${server.url}/v1/report?${query}`)
    t.equal(response.status, 400, query)
    t.match(await response.json(), { error: { code: 'USAGE', message } })
  }
  t.equal((await fetch(`${server.url}/v1/report?day=1`)).status, 400)
})

t.test('the status page leads to it', async t => {
  const { server } = await daemon(t)
  t.match(await (await fetch(server.url)).text(), '<a href="/v1/report">')
})
