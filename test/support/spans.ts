import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { type ReadableSpan, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'

/** Keeps every span that ends. */
class Keeping implements SpanProcessor {
  readonly spans: ReadableSpan[] = []
  onStart(): void {}
  onEnd(span: ReadableSpan): void {
    this.spans.push(span)
  }
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

/** Registers OpenTelemetry's SDK for this process, with processors of the test beside the one that keeps; returns the spans that have ended. */
export function keepSpans(...processors: readonly SpanProcessor[]): readonly ReadableSpan[] {
  const keeping = new Keeping()
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [...processors, keeping] }))
  return keeping.spans
}

/** The spans as lines of text, each under its parent and in the order in which they began, alike where they have the same text. */
export function treeOf(spans: readonly ReadableSpan[], text: (span: ReadableSpan) => string = ({ name }) => name): string[] {
  const known = new Set(spans.map(span => span.spanContext().spanId))
  const below = (parent: string | undefined, depth: number): string[] =>
    spans
      .filter(({ parentSpanContext: of }) => (of !== undefined && known.has(of.spanId) ? of.spanId : undefined) === parent)
      .toSorted((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])
      .flatMap(span => ['  '.repeat(depth) + text(span), ...below(span.spanContext().spanId, depth + 1)])
  return below(undefined, 0)
}

/** Everything that a span says. */
export function said({ name, attributes, events, status, links }: ReadableSpan): string {
  return JSON.stringify({ name, attributes, events, status, links: links.map(({ attributes }) => attributes) })
}
