import {
  type Attributes,
  type Context,
  context,
  diag,
  type Exception,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { serializeError } from './log.ts'
import { VERSION } from './version.ts'

/** What every span may carry about an error: the code from the table of errors, or the status of an answer. */
const FAILED = ['error.type'] as const

/** Of a request. Attributes as OpenTelemetry's conventions for HTTP clients have them, but for the query of the address: it often carries tokens. */
const REQUEST = [
  'http.request.method',
  'server.address',
  'server.port',
  'url.path',
  'http.response.status_code',
  ...FAILED,
] as const

/**
 * Every span, by its name, with the attributes it may have. Never a page, never a row: their number does not depend on how much is read, but for
 * requests. `docs/traces.md` lists the same; a test compares.
 */
export const SPANS = {
  'headrace.run': [
    'headrace.run.id',
    'headrace.run.resumed',
    'headrace.run.exit_code',
    'headrace.pipeline',
    'headrace.window.from',
    'headrace.window.to',
    'headrace.clients',
    ...FAILED,
  ],
  'headrace.attempt': [
    'headrace.run.id',
    'headrace.attempt.id',
    'headrace.attempt.number',
    'headrace.pipeline',
    'headrace.client',
    'headrace.window.from',
    'headrace.window.to',
    'headrace.outcome',
    'headrace.rows.extracted',
    'headrace.rows.staged',
    'headrace.rows.rejected',
    'headrace.rows.deduplicated',
    'headrace.rows.inserted',
    'headrace.rows.deleted',
    ...FAILED,
  ],
  'headrace.read': ['headrace.api', 'headrace.pages', 'headrace.rows.extracted', ...FAILED],
  'headrace.stage': ['headrace.rows.staged', 'headrace.bytes.staged', ...FAILED],
  'headrace.commit': ['headrace.group.id', ...FAILED],
  'headrace.transaction': ['headrace.group.id', 'headrace.group.chunks', 'headrace.table', 'headrace.warehouse', ...FAILED],
  'headrace.reconcile': [...FAILED],
  GET: REQUEST,
  POST: REQUEST,
} as const

/** Name of a span. */
export type SpanName = keyof typeof SPANS

/** What a span of that name may carry. */
export type SpanAttributes<N extends SpanName> = Partial<Record<(typeof SPANS)[N][number], string | number | boolean>>

/** Names a span, in this process or another: in the log, and in links. */
export interface SpanIds {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
  /** 1 when it is sampled, else 0. */
  readonly traceFlags: number
}

/** Where a span belongs. */
export interface SpanOrigin {
  /** Default whatever is under way; `null` for nothing: the span begins a trace of its own. */
  readonly parent?: SpanIds | null
  /** Spans that it has to do with without being part of them; those that nobody recorded are left out. */
  readonly links?: readonly (SpanIds | undefined)[]
}

/** A span under way. Whatever becomes of it, nothing here throws: who watches must never harm what is watched. */
export interface OpenSpan<N extends SpanName> {
  /** Undefined when nobody traces. */
  readonly ids: SpanIds | undefined
  /** Does something as part of it. */
  within<T>(work: () => T): T
  set(attributes: SpanAttributes<N>): void
  /** Ends it, as failed when there is an error, of the given type or by its code; only the first call counts. */
  end(error?: unknown, type?: string): void
}

/** Longest wait for the last spans to be sent when a process ends, in milliseconds. */
const FLUSH_MS = 5_000

/** Does nothing until an SDK is registered, and hands everything to it from then on. */
const tracer = trace.getTracer('headrace', VERSION)

/** Begins a span. It must be ended. */
export function openSpan<N extends SpanName>(
  name: N,
  attributes: SpanAttributes<N>,
  { parent, links = [] }: SpanOrigin = {},
): OpenSpan<N> {
  const from = contextOf(parent)
  const kind = SPANS[name] === REQUEST ? SpanKind.CLIENT : SpanKind.INTERNAL
  const linked = links.flatMap(ids => (ids === undefined ? [] : { context: { ...ids, isRemote: true } }))
  const span = safely(() => tracer.startSpan(name, { kind, attributes: attributes as Attributes, links: linked }, from))
  if (span === undefined) return { ids: undefined, within: work => work(), set: () => undefined, end: () => undefined }
  const active = trace.setSpan(from, span)
  let ended = false
  return {
    ids: safely(() => idsOf(span)),
    within: work => context.with(active, work),
    set: more => safely(() => void span.setAttributes(more as Attributes)),
    end(error, type) {
      if (ended) return
      ended = true
      if (error !== undefined) safely(() => fail(span, error, type))
      safely(() => span.end())
    },
  }
}

/** Does something in a span, which ends with it: as failed when it throws, unless the span was ended before. */
export async function inSpan<N extends SpanName, T>(
  name: N,
  attributes: SpanAttributes<N>,
  work: (span: OpenSpan<N>) => Promise<T>,
  origin?: SpanOrigin,
): Promise<T> {
  const span = openSpan(name, attributes, origin)
  try {
    return await span.within(() => work(span))
  } catch (error) {
    span.end(error)
    throw error
  } finally {
    span.end()
  }
}

/** Waits until the spans that have ended are sent, some seconds at most; what an SDK holds back would be lost with the process. */
export async function flushSpans(): Promise<void> {
  let provider: unknown = trace.getTracerProvider()
  if (has(provider, 'getDelegate')) provider = provider.getDelegate()
  if (!has(provider, 'forceFlush')) return
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(() => {
    lost(new Error(`not sent within ${FLUSH_MS / 1_000} s`))
    late.resolve()
  }, FLUSH_MS)
  try {
    await Promise.race([provider.forceFlush(), late.promise])
  } catch (error) {
    lost(error)
  } finally {
    clearTimeout(timer)
  }
}

function has<K extends string>(value: unknown, method: K): value is Record<K, () => unknown> {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, method) === 'function'
}

function contextOf(parent: SpanIds | null | undefined): Context {
  if (parent === undefined) return context.active()
  return parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...parent, isRemote: true })
}

function idsOf(span: Span): SpanIds | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return isSpanContextValid({ traceId, spanId, traceFlags }) ? { traceId, spanId, traceFlags } : undefined
}

/** What of an error may stand in a log may stand in a span. */
function fail(span: Span, error: unknown, type: string | undefined): void {
  const { name = 'Error', code = name, message, stack } = serializeError(error)
  span.setAttribute('error.type', type ?? code)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
  const exception: Exception = { name: code, message, ...(stack === undefined ? {} : { stack }) }
  span.recordException(exception)
}

function safely<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    lost(error)
    return undefined
  }
}

/** Tells OpenTelemetry's own log, where its SDKs tell of spans that could not be sent. */
function lost(error: unknown): void {
  diag.error(`headrace: spans are lost: ${serializeError(error).message}`)
}
