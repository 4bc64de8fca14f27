import { join } from 'node:path'
import t from 'tap'
import type { RunEvent } from '../../lib/lineage/events.ts'
import { AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { run } from '../support/run.ts'
import { eventsIn } from './events.ts'
import { problemsOf } from './schema.ts'

/** What is spoiled in an event, and what the check has to say of it. */
const SPOILED: Readonly<Record<string, readonly [from: string, to: string, problem: RegExp]>> = {
  'an event of an unknown type': ['"eventType":"COMPLETE"', '"eventType":"DONE"', /^event\/eventType must be equal to one of/],
  'a misspelt field of the event': ['"eventType":', '"evenType":', /^event must NOT have unevaluated properties .*evenType/],
  'an attempt whose id is none': ['"runId":"', '"runId":"x', /^event\/run\/runId must match format "uuid"/],
  'a misspelt field of a dataset': [
    '"outputFacets":',
    '"outputFacet":',
    /^event\/outputs\/0 must NOT have unevaluated properties/,
  ],
  'a misspelt field of a facet': ['"nominalEndTime":', '"nominalEnd":', /^nominalTime must NOT have unevaluated properties/],
  'a misspelt field within a facet': [
    '"nullCount":',
    '"nulls":',
    /^dataQualityMetrics\/columnMetrics\/name must NOT have unevaluated/,
  ],
  'a misspelt field of a transformation': [
    '"subtype":',
    '"subType":',
    /^columnLineage\/fields.*must NOT have unevaluated properties/,
  ],
  'a text for a number': ['"rowCount":2', '"rowCount":"2"', /^dataQualityMetrics\/rowCount must be integer/],
  'a day for an instant': ['2026-03-02T00:00:00Z', '2026-03-02', /^nominalTime\/nominalEndTime must match format "date-time"/],
  'a facet without what it requires': ['"processingType":"BATCH",', '', /^jobType must have required property 'processingType'/],
  'an unknown facet': ['"outputStatistics":', '"statistics":', /^statistics is no facet of https/],
  'a facet in an unknown version': ['facets/1-0-1/Nom', 'facets/9-0-1/Nom', /^nominalTime is no facet of https/],
  'a facet where it does not belong': [
    '"inputFacets":',
    '"facets":',
    /^dataQualityAssertions is a InputDatasetFacet, and stands where a DatasetFacet/,
  ],
}

t.test('the check against the published schemas finds what is misspelt, unknown or misplaced', async t => {
  const folder = t.testdir()
  const file = join(folder, 'lineage.jsonl')
  const api = new AdsApi()
  api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1'), ad('a', '2026-03-01', '2')])
  await run({
    folder,
    from: '2026-03-01',
    to: '2026-03-01',
    clients: ['a'],
    pipeline: adsPipeline(api.connector(10)),
    lineage: { file },
  })
  const text = JSON.stringify(eventsIn(file)[1])
  for (const [what, [from, to, problem]] of Object.entries(SPOILED)) {
    t.ok(text.includes(from), `${what} can be made`)
    const spoiled: RunEvent = JSON.parse(text.replace(from, to))
    t.ok(
      problemsOf(spoiled).some(found => problem.test(found)),
      `${what}: ${problemsOf(spoiled).join('; ')}`,
    )
  }
})
