import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { createLog } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import type { Finding } from '../../lib/monitor/finding.ts'
import { round } from '../../lib/monitor/rounds.ts'
import { tellFindings, webhook } from '../../lib/monitor/webhook.ts'
import { ledgerOf, publish } from '../published.ts'
import { agoMs, dayAgo, pipelineOf, readAt, YESTERDAY } from './kit.ts'

const LATE: Finding = {
  monitor: 'completeness',
  level: 'ticket',
  subject: '',
  pipelines: ['clicks'],
  since: Date.parse('2026-03-06T06:00:00Z'),
  what: '1 days missing (2026-03-05) for client a',
  places: [{ client: 'a', day: YESTERDAY }],
  rows: 100,
}

/** A server that takes messages as Slack does, and what it was sent. */
async function slack(t: Test, answer: () => number = () => 200): Promise<{ url: string; messages: string[] }> {
  const messages: string[] = []
  const server = createServer(async (request, response) => {
    const { text: message } = JSON.parse(await text(request))
    const status = answer()
    if (status === 0) return void request.socket.destroy()
    if (status === 200) messages.push(message)
    response.writeHead(status, { location: '/elsewhere' }).end('ok')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/T0/B0/secret`, messages }
}

t.test('a finding is told with what, since when, how much, what is safe and what to do; and once when it is over', async t => {
  const { url, messages } = await slack(t)
  const ledger = ledgerOf(t)
  const tell = (findings: readonly Finding[]) => tellFindings({ findings }, ledger, webhook(url))
  t.equal(await tell([LATE]), 1)
  t.equal(await tell([LATE]), 0)
  t.equal(await tell([]), 1)
  t.equal(await tell([]), 0)
  t.strictSame(messages, [
    'ticket: clicks, completeness: 1 days missing (2026-03-05) for client a\n' +
      'since 2026-03-06 06:00 UTC, about 100 rows, 1 client\n' +
      'What is published stays as it was; other chunks go on.\n' +
      'Fill them with `headrace backfill --missing` over these days.',
    'over: ticket: clicks, completeness: 1 days missing (2026-03-05) for client a',
  ])
})

t.test('what is held by a guard, or only reported, is not told', async t => {
  const { url, messages } = await slack(t)
  const findings = (['block', 'report'] as const).map(level => ({ ...LATE, level, subject: level }))
  t.equal(await tellFindings({ findings }, ledgerOf(t), webhook(url)), 0)
  t.strictSame(messages, [])
})

t.test('many findings are one message, and not all of them are spelled out', async t => {
  const { url, messages } = await slack(t)
  const findings = Array.from({ length: 25 }, (_, index) => ({ ...LATE, subject: String(index) }))
  t.equal(await tellFindings({ findings }, ledgerOf(t), webhook(url)), 25)
  t.match(messages, [/and 5 more: see `headrace findings`$/])
  t.equal(messages.length, 1)
})

t.test('nothing is said to be over while a monitor could not look', async t => {
  const { url, messages } = await slack(t)
  const ledger = ledgerOf(t)
  await tellFindings({ findings: [LATE] }, ledger, webhook(url))
  const blind = { ...LATE, monitor: 'monitors' as const, level: 'page' as const, what: 'no monitor could be run' }
  t.equal(await tellFindings({ findings: [blind] }, ledger, webhook(url)), 1)
  t.match(messages[1], /^page: clicks, monitors: no monitor could be run/)
})

t.test(
  'a server that refuses, leads elsewhere, hangs up or is not there takes nothing, and its address is in no error',
  async t => {
    for (const status of [500, 302, 0]) {
      const { url, messages } = await slack(t, () => status)
      const error = await webhook(url)('x').catch((thrown: unknown) => String(thrown))
      t.match(error, /Error: it (answers|cannot be reached)/)
      t.notMatch(error, 'secret')
      t.strictSame(messages, [])
    }
    t.match(await webhook('http://127.0.0.1:1/secret')('x').catch(String), 'Error: it cannot be reached')
  },
)

t.test('a round looks, sets the gauges, and tells; a webhook that is down is told of in the log, and told later', async t => {
  let status = 503
  let now = agoMs(0)
  const { url, messages } = await slack(t, () => status)
  const ledger = ledgerOf(t, () => now)
  for (const ago of [5, 4, 3, 1]) {
    const window = { from: dayAgo(ago), to: dayAgo(ago) }
    await publish(ledger, 'clicks', 'a', window, 1, { requests: 1, startedAt: 1, finishedAt: readAt(dayAgo(ago)) })
  }
  const registry = new Registry()
  const lines: string[] = []
  const options = {
    config: { pipelines: [pipelineOf({ freshness: { hours: 36 } })], ledger, alerts: { webhook: url } },
    clients: [{ id: 'a', timeZone: 'UTC' }],
    grantKey: undefined,
    log: createLog('info', { write: line => void lines.push(line) }),
    metrics: createMetrics(registry),
  }
  await round({ ...options, now })
  t.match(lines.join(''), /the webhook was not told: .*it answers 503/)
  t.notMatch(lines.join(''), 'secret')
  t.strictSame(messages, [])
  status = 200
  now += 120_000
  const { findings } = await round({ ...options, now })
  t.match(findings, [{ monitor: 'completeness' }])
  t.match(messages, [/^ticket: clicks, completeness: 1 days missing \(2026-03-03\)/])
  const counted = await registry.getSingleMetric('headrace_alerts_total')?.get()
  t.same(
    counted?.values.map(({ labels, value }) => [labels.outcome, value]),
    [
      ['told', 1],
      ['failed', 1],
    ],
  )
})
