import t from 'tap'
import { reportLines } from '../../bin/report-lines.ts'
import { reportPage } from '../../lib/report/page.ts'
import { fresh, PROBLEM } from '../ledger/kit.ts'
import { HOSTILE, nextMorning, pipelineOf, reportOf, tellDay, tellDays, WEEK } from './story.ts'

const ADS = pipelineOf('ads')
const LONG = 'a-client-whose-name-goes-on-and-on'

t.test('a report says on a terminal and on a page what it is about, and what to do', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', ['acme', 'globex'], WEEK, (day, client) =>
    client === 'globex' && day === WEEK.to ? { ends: { state: 'held', problem: PROBLEM } } : {},
  )
  const more = { cost: { jobs: 2, bytesBilled: 10_485_760, slotMs: 4_000 } }
  const restated = { added: 20, removed: 5, totalsBefore: { clicks: '1000000' }, totalsAfter: { clicks: '1049500.25' } }
  await tellDay(story, 'ads', 'acme', '2026-11-17', { at: nextMorning('2026-11-19'), more, restated })
  const found = await reportOf(story.ledger, [ADS], ['acme', 'globex'])
  const text = [...reportLines(found)].join('\n')
  const page = reportPage(found).text
  for (const said of [
    'Week 2026-W47 is not whole: 1 of 14 days is not there, of 1 client: 1 held.',
    '2026-11-16 to 2026-11-22, 2 clients, 1 pipeline, as of 2026-11-23 09:00 UTC.',
    '1 thing, 1 of them since these days began.',
    'headrace retry --pipeline ads --client globex --from 2026-11-22',
    'The warehouse billed 10 MiB in 2 jobs, which took 4.0 s of slots.',
    'No record of these days was rejected.',
    'Every grant works, and none ends within 30 days.',
  ]) {
    t.match(text, said)
    t.match(page, said)
  }
  t.match(text, /\nads +1 +1 +20 +5 +3 days +clicks 1,000,000 -> 1,049,500\.25 \(\+5 %\)\n/)
  t.match(page, 'clicks 1,000,000 -&gt; 1,049,500.25 (+5 %)')
})

t.test('whatever a client is called, it is text on the page, and the page needs nothing from elsewhere', async t => {
  const story = fresh(t)
  await tellDays(story, 'ads', [HOSTILE, 'acme'], WEEK, (day, client) =>
    client === HOSTILE && day === '2026-11-19'
      ? { ends: { state: 'failed', problem: { ...PROBLEM, message: '<b>no</b>' } } }
      : { more: { rejectedBy: { '<i>': 1 }, days: [{ day, rows: 1, rejected: 1, fingerprint: day, totals: {} }] } },
  )
  const page = reportPage(await reportOf(story.ledger, [ADS], [HOSTILE, 'acme'])).text
  t.notMatch(page, /<script|<b>no|<i>/i)
  t.match(page, '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#39;&amp;')
  t.notMatch(page, / (style|on\w+)="/, 'no inline styles and no handlers')
  t.notMatch(page, /(src|href)="(?!#)|url\(|@import/, 'nothing comes from elsewhere')
})

t.test('hundreds of clients are counts, the worst of them are named, and no line is wider than a terminal', async t => {
  const story = fresh(t)
  const clients = [LONG, ...Array.from({ length: 150 }, (_, index) => `${LONG}-${index}`)]
  const lacks = new Set(clients.slice(0, 100))
  await tellDays(story, 'ads', clients, { from: '2026-11-21', to: WEEK.to }, (day, client) =>
    day === WEEK.to && lacks.has(client) ? undefined : {},
  )
  const few = clients.slice(0, 2)
  const pipelines = [ADS, pipelineOf('a-pipeline-with-quite-a-long-name-of-its-own')]
  await tellDays(story, pipelines[1]?.name ?? '', few, WEEK, day => (day === '2026-11-19' ? undefined : {}))
  const found = await reportOf(story.ledger, pipelines, clients)
  const lines = [...reportLines(found)]
  t.same(
    lines.filter(line => line.length > 120),
    [],
  )
  t.ok(lines.length < 120, `${lines.length} lines`)
  t.ok(reportPage(found).text.length < 60_000, `${reportPage(found).text.length} characters`)
  t.equal(found.pipelines[0]?.days.missing, 100)
  t.match(lines.join('\n'), /\\\n +--clients/, 'a long command goes on in the next line')
})
