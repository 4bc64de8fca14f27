import { type OpenMetricsContentType, Registry } from 'prom-client'

/** Metrics as they are sent, and the format they are in. */
export interface Exposition {
  readonly contentType: string
  readonly text: string
}

/** The text format of Prometheus, and OpenMetrics 1.0 for whoever would rather have that, as Prometheus does: what `Accept` says decides. */
export async function exposition(registry: Registry, accept = ''): Promise<Exposition> {
  const ranges = accept.split(',').map(range => range.trim())
  const open = wish(ranges.filter(range => /^application\/openmetrics-text\s*(;|$)/.test(range) && versionOf(range) === '1.0.0'))
  const format =
    open > 0 && open >= wish(ranges.filter(range => range.startsWith('text/plain'))) ? openMetrics(registry) : registry
  return { contentType: format.contentType, text: await format.metrics() }
}

/** The version that is asked for; 1.0.0 where none is named. */
function versionOf(range: string): string {
  return /;\s*version="?([\d.]+)/.exec(range)?.[1] ?? '1.0.0'
}

/** How much the most wanted of some media ranges is wanted, from 0 to 1; RFC 9110, section 12.5.1. */
function wish(ranges: readonly string[]): number {
  return Math.max(0, ...ranges.map(range => Number(/;\s*q=([\d.]+)/.exec(range)?.[1] ?? 1)))
}

/**
 * The same metrics as OpenMetrics. A registry of prom-client knows one format, and in this one it takes `_total` off the names of its counters for good. So
 * it gets a view of every metric, with a name of its own.
 */
function openMetrics(registry: Registry): Registry<OpenMetricsContentType> {
  const views = new Registry<OpenMetricsContentType>()
  views.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  for (const metric of registry.getMetricsAsArray()) views.registerMetric(Object.create(metric))
  return views
}
