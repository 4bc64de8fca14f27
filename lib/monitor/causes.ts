import type { Pipeline } from '../pipeline.ts'
import { type Finding, findingId } from './finding.ts'

/**
 * Findings of several pipelines that have one cause, as one: whatever of one API stopped for one reason; and pipelines that are late because another one is that
 * they wait for, or because their API is not there for any of them.
 */
export function byCause(findings: readonly Finding[], pipelines: readonly Pipeline[]): Finding[] {
  const byName = new Map(pipelines.map(pipeline => [pipeline.name, pipeline]))
  const late = new Set(findings.flatMap(({ monitor, pipelines }) => (monitor === 'freshness' ? pipelines : [])))
  const apiOf = (name: string): string => {
    const pipeline = byName.get(name)
    // Pipelines cannot wait for each other in a circle: the configuration does not load then.
    const upstream = pipeline?.after.find(edge => late.has(edge.pipeline))
    return upstream === undefined ? (pipeline?.source.name ?? name) : apiOf(upstream.pipeline)
  }
  const told = findings.map(finding =>
    finding.monitor === 'freshness' ? { ...finding, subject: apiOf(finding.pipelines[0] ?? '') } : finding,
  )
  return [...Map.groupBy(told, findingId).values()].map(same => same.reduce(merged))
}

function merged(one: Finding, other: Finding): Finding {
  return {
    ...one,
    pipelines: [...one.pipelines, ...other.pipelines],
    since: Math.min(one.since, other.since),
    what: `${one.what}; ${other.pipelines.join(', ')}: ${other.what}`,
    places: [...one.places, ...other.places],
    rows: one.rows + other.rows,
  }
}
