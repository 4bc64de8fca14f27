import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { resolveClients } from '../../lib/config.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { serve } from '../../lib/server/server.ts'
import { fresh, request } from '../ledger/kit.ts'
import { publish } from '../published.ts'
import { SEVEN, storyClients, storyConfig, tell } from './page-story.ts'
import { logged, open } from './setup.ts'

const NAMES = storyClients(20)

async function pageOf(t: Test, ledger: Ledger, names: readonly string[] = NAMES) {
  const config = storyConfig(ledger, names)
  const clients = await resolveClients(config, undefined, new AbortController().signal)
  const health = () => ({ tickAt: SEVEN, draining: false })
  const of = { config, clients: () => clients, registry: new Registry(), log: logged().log, now: () => SEVEN, health }
  const { url } = await open(t, serve({ ...of, host: '127.0.0.1', port: 0 }))
  const response = await fetch(url)
  const text = await response.text()
  const section = (id: string): string => text.match(new RegExp(`<h2 id="${id}">.*?</section>`, 's'))?.[0] ?? ''
  return { response, text, section, verdict: text.match(/<h1 [^>]*>(.*?)<\/h1>/)?.[1] }
}

/** Publishes four weeks of some clients, up to a day. */
async function published(ledger: Ledger, clients: readonly string[], to = '2026-11-21', rows = 1): Promise<void> {
  const taken = { requests: 1, startedAt: 1, finishedAt: SEVEN - 3_600_000 }
  for (const pipeline of ['accounts', 'keyword-performance']) {
    for (const client of clients) await publish(ledger, pipeline, client, { from: '2026-10-20', to }, rows, taken)
  }
}

t.test('the page says in one sentence whether everything is there', async t => {
  const { ledger } = fresh(t)
  t.equal((await pageOf(t, ledger)).verdict, 'Not everything is there: 20 of 20 clients lack 40 days.', 'nothing was ever read')
  await published(ledger, NAMES.slice(0, 19))
  await published(ledger, NAMES.slice(19), '2026-11-20')
  t.equal((await pageOf(t, ledger)).verdict, 'Not everything is there: 1 of 20 clients lacks 2 days.')
  const days = { from: '2026-11-21', to: '2026-11-21' }
  for (const pipeline of ['accounts', 'keyword-performance']) {
    const asked = request({ pipeline, clients: NAMES.slice(19), window: days })
    await ledger.beginRun(asked, [{ pipeline, client: NAMES[19] ?? '', window: days }], { served: true })
  }
  const busy = await pageOf(t, ledger)
  t.equal(busy.verdict, 'Not everything is there yet: 1 of 20 clients are still being read.')
  t.match(busy.text, '<title>Under way · headrace</title>')
})

t.test('a page on which everything is there says so, and folds what nobody has to look at', async t => {
  const { ledger } = fresh(t)
  await published(ledger, NAMES)
  const { verdict, text, section } = await pageOf(t, ledger)
  t.equal(verdict, 'Everything is there: every day that is due, of every client.')
  t.match(section('needs'), 'Nothing is held, failed or parked.')
  t.match(section('findings'), 'Nothing: the monitors find what they expect.')
  t.match(section('runs'), 'Nothing: no run has anything left to do.')
  t.match(section('blocked'), 'No chunk waits for another pipeline.')
  t.match(section('restated'), 'No published day has changed in the last seven days.')
  t.match(section('pipeline-accounts'), /<details><summary>20 clients have every day that is due<\/summary>/)
  t.equal([...text.matchAll(/title="2026-11-21: published; 1 rows published">✓/g)].length, 40)
})

t.test('a page on which every day is there and holds no row does not say that all is well', async t => {
  const { ledger } = fresh(t)
  await published(ledger, NAMES, '2026-11-21', 0)
  const { verdict, section } = await pageOf(t, ledger)
  t.equal(verdict, 'Every day that is due is there, but 2 things about it look wrong.')
  t.match(
    section('findings'),
    /<span class="tag page">page<\/span>.*no client ever had a row, in 660 published days of 20 clients/,
  )
  t.match(section('findings'), 'access, filters and names of fields')
})

t.test('a page of a bad morning names everything, what is wrong first', async t => {
  const { ledger } = fresh(t)
  await tell(ledger, NAMES)
  const { verdict, section, response } = await pageOf(t, ledger)
  t.equal(
    verdict,
    'Not everything is there: 4 of 20 clients lack 6 days, 2 chunks are held, 1 chunk has failed, 1 chunk is parked.',
  )
  const needs = section('needs')
  t.same(
    [...needs.matchAll(/<span class="mark tag (\w+)">/g)].map(([, state]) => state),
    ['held', 'held', 'failed', 'parked'],
  )
  t.match(
    needs,
    'API_FAILED</span> GET https://ads.example.com/v1/customers/&lt;b&gt;3&lt;/b&gt;/keywords answered 502 Bad Gateway',
  )
  t.match(needs, 'If the API is right, run the chunk again with --force.')
  t.match(section('runs'), /0 of 2 chunks.*client-004/s)
  t.match(section('blocked'), /client-002.*accounts: 1 day not published.*failed: .*API_FAILED/s)
  t.match(section('restated'), '1,204 → 1,185 (73 new, 92 gone)')
  t.match(section('restated'), 'cost 5123.50 → 4987.25')
  t.match(section('actions'), 'was failed')
  const calendar = section('pipeline-accounts')
  const order = ['5 clients need somebody', '2 clients are still being read', '13 clients have every day that is due']
  t.same(
    [...calendar.matchAll(/\d+ clients [\w ]+(?=<\/h3>|<\/summary>)/g)].map(([text]) => text),
    order,
  )
  for (const said of [
    '2026-11-20: read, and held for a person to decide; 1,204 rows published">!',
    '2026-11-21: every try failed">×',
    '2026-11-21: put off, because the API asked for it">‖',
    '2026-11-11: should be there, and nobody reads it">?',
    '2026-11-21: being read">▸',
    '2026-11-21: waits to be read">…',
    '2026-11-18: published anew this week with other numbers; 1 rows published">↻',
  ]) {
    t.ok(calendar.includes(said), said)
  }
  t.match(response.headers.get('content-security-policy'), /^default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'/)
})

t.test('whatever a client is called, it is text on the page', async t => {
  const { ledger } = fresh(t)
  await tell(ledger, NAMES)
  const { text } = await pageOf(t, ledger)
  t.notMatch(text, /<script|<b>3/i)
  t.match(text, '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39;&amp;')
  t.notMatch(text, / (style|on\w+)="/, 'no inline styles and no handlers')
  t.notMatch(text, /(src|href)="(?!#|\/)/, 'nothing comes from elsewhere')
})
