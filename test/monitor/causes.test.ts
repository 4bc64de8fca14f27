import t from 'tap'
import { byCause } from '../../lib/monitor/causes.ts'
import { type Finding, findingId, type MonitorName } from '../../lib/monitor/finding.ts'
import { pipelineOf } from './kit.ts'

/** Two pipelines of one API, the second waits for the first; one of another API waits for the second. */
const pipelines = [
  pipelineOf(),
  { ...pipelineOf(), name: 'costs', after: [{ pipeline: 'clicks', gaps: 0, policy: 'wait' as const }] },
  {
    ...pipelineOf(),
    name: 'orders',
    source: { ...pipelineOf().source, name: 'shop' },
    after: [{ pipeline: 'costs', gaps: 0, policy: 'wait' as const }],
  },
]

function finding(monitor: MonitorName, pipeline: string, more: Partial<Finding> = {}): Finding {
  return {
    monitor,
    level: 'page',
    subject: '',
    pipelines: [pipeline],
    since: 5,
    what: `${pipeline} is late`,
    places: [{ client: 'a', day: '2026-03-05' }],
    rows: 10,
    ...more,
  }
}

t.test('an API that is down is one finding, with the pipelines that wait for its own', async t => {
  const late = [finding('freshness', 'clicks'), finding('freshness', 'costs', { since: 3 }), finding('freshness', 'orders')]
  t.match(byCause(late, pipelines), [
    {
      subject: 'ads',
      pipelines: ['clicks', 'costs', 'orders'],
      since: 3,
      rows: 30,
      what: 'clicks is late; costs: costs is late; orders: orders is late',
    },
  ])
})

t.test('a pipeline that is late by itself is a finding of its own', async t => {
  const found = byCause([finding('freshness', 'clicks'), finding('freshness', 'orders')], pipelines)
  t.same(
    found.map(({ subject, pipelines }) => [subject, pipelines]),
    [
      ['ads', ['clicks']],
      ['shop', ['orders']],
    ],
  )
})

t.test('chunks of several pipelines that one error stops are one finding, others stay apart', async t => {
  const subject = 'ads API_REFUSED'
  const found = byCause(
    [
      finding('held', 'clicks', { subject }),
      finding('held', 'costs', { subject }),
      finding('volume', 'clicks'),
      finding('volume', 'costs'),
    ],
    pipelines,
  )
  t.same(found.map(findingId), ['held ads API_REFUSED', 'volume clicks', 'volume costs'])
})
