import { type OpenMetricsContentType, Registry } from 'prom-client'

/** Metrics as they are sent, and the format they are in. */
export interface Exposition {
  readonly contentType: string
  readonly text: string
}

/** The text format of Prometheus, and OpenMetrics 1.0 for whoever would rather have that, as Prometheus does: what `Accept` says decides. */
export async function exposition(registry: Registry, accept = ''): Promise<Exposition> {
  const wanted = wish(accept, /^application\/openmetrics-text\s*(;(?!.*\bversion="?(?!1\.0\.0\b))|$)/)
  const format = wanted > 0 && wanted >= wish(accept, /^text\/plain\b/) ? openMetrics(registry) : registry
  return { contentType: format.contentType, text: await format.metrics() }
}

/** How much a media type is wanted, from 0 to 1; RFC 9110, section 12.5.1. */
function wish(accept: string, type: RegExp): number {
  const named = accept.split(',').filter(range => type.test(range.trim()))
  return Math.max(0, ...named.map(range => Number(/;\s*q=([\d.]+)/.exec(range)?.[1] ?? 1)))
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
