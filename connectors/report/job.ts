import type { PageRequest } from '../../lib/connector.ts'
import { DataError, TransientError } from '../../lib/errors.ts'
import type { JsonAnswer } from '../../lib/http/client.ts'
import { at, type Json, shapeOf } from '../../lib/http/json.ts'
import type { Classify } from '../../lib/http/policy.ts'
import { type Headers, requestOf } from '../../lib/http/question.ts'
import { safeUrl } from '../../lib/http/redact.ts'
import { addressOf, fillJson, type Query, type Values } from '../../lib/http/template.ts'

/** How a report is asked for: a POST. */
export interface Create {
  readonly url: string
  readonly query?: Query
  /** Sent as JSON. Default an empty object. */
  readonly body?: Json
  /** Dotted path to the id of the report, in the answer. */
  readonly id: string
  /**
   * The answer of an API that is making this very report already, as Amazon's 425: the first group of `id` finds the id of that report in the JSON of
   * the body. It is taken over.
   */
  readonly duplicate?: { readonly status: number; readonly id: RegExp }
}

/** How a report is asked about. Every state the API may tell is declared; any other is an error. */
export interface Poll {
  readonly url: string
  readonly query?: Query
  /** Sent as JSON, with POST. Without it the question is a GET. */
  readonly body?: Json
  /** Dotted path to the state. */
  readonly state: string
  readonly ready: readonly string[]
  readonly running: readonly string[]
  readonly failed?: readonly string[]
  /** The report was made, or waited for, and is gone: another one is created. */
  readonly expired?: readonly string[]
  /** Dotted path to the percentage that is done, where a report is ready only at 100. */
  readonly percent?: string
  /** Seconds before the first question; they double up to eight times as many. Default 5. */
  readonly seconds?: number
  /** Seconds after which a report is given up, and another one is created once. Default 3,600. */
  readonly deadline?: number
}

/** How reports are made. */
export interface Job {
  readonly name: string
  /** Headers of every request to the API; a file that stands elsewhere is fetched without them. */
  readonly headers?: Headers
  readonly create: Create
  readonly poll: Poll
}

/** A report that is ready. */
export interface ReadyReport {
  /** The placeholders, that of the report among them. */
  readonly values: Values
  /** What the API said last. */
  readonly body: unknown
  /** The address it said that at. */
  readonly url: URL
}

/** Creates a report and waits for it. One that expires or takes too long is replaced once, because more of them would only slow the API down. */
export async function readyReport(job: Job, request: PageRequest, values: Values): Promise<ReadyReport> {
  for (let created = 1; ; created++) {
    const outcome = await untilReady(job, request, { ...values, report: await create(job, request, values) })
    if (!(outcome instanceof TransientError)) return outcome
    if (created === 2) throw outcome
  }
}

async function create({ name, headers, create }: Job, request: PageRequest, values: Values): Promise<string> {
  const { id, duplicate } = create
  const url = addressOf(name, create.url, create.query ?? {}, values)
  const classify: Classify = ({ status }) => (status === duplicate?.status ? 'ok' : undefined)
  const { status, body } = await request.http.json(url, {
    ...requestOf(request, { headers, body: fillJson(create.body ?? {}, values) }),
    read: false,
    classify,
  })
  const found = duplicate?.status === status ? duplicate.id.exec(JSON.stringify(body))?.[1] : at(body, id)
  if (typeof found === 'string' && found !== '') return found
  if (typeof found === 'number' && Number.isSafeInteger(found)) return String(found)
  throw malformed(url, `no id of a report${duplicate?.status === status ? ` in an answer of ${status}` : ` at ${id}`}`, body)
}

/** Asks until the report is ready; gives why another one is wanted. */
async function untilReady(job: Job, request: PageRequest, values: Values): Promise<ReadyReport | TransientError> {
  const { name, poll } = job
  const { seconds = 5, deadline = 3_600 } = poll
  const url = addressOf(name, poll.url, poll.query ?? {}, values)
  const end = request.now() + deadline * 1_000
  for (let wait = seconds * 1_000; ; wait = Math.min(wait * 2, seconds * 8_000)) {
    await request.sleep(Math.max(0, Math.min(wait, end - request.now())))
    const { body } = await ask(job, url, request, values)
    const state = String(at(body, poll.state))
    const where = `${safeUrl(url)}: the report is ${JSON.stringify(state.slice(0, 100))}`
    if (poll.failed?.includes(state)) {
      throw new TransientError('REPORT_FAILED', {
        message: where,
        hint: 'Nothing of this chunk was published. If it stays, ask the API for less, or look there for the reason.',
      })
    }
    if (poll.expired?.includes(state)) return expired(where)
    if (!poll.ready.includes(state) && !poll.running.includes(state)) {
      throw malformed(url, `the state at ${poll.state} is ${JSON.stringify(state.slice(0, 100))}, none of those declared`, body)
    }
    const done = poll.percent === undefined || Number(at(body, poll.percent)) === 100
    if (poll.ready.includes(state) && done) return { values, body, url }
    if (request.now() >= end) {
      return new TransientError('REPORT_LATE', {
        message: `${where} after ${deadline} s`,
        hint: 'Nothing of this chunk was published. Use shorter windows, or raise the deadline of the connector.',
      })
    }
  }
}

async function ask({ headers, poll }: Job, url: URL, request: PageRequest, values: Values): Promise<JsonAnswer> {
  const body = poll.body === undefined ? undefined : fillJson(poll.body, values)
  return request.http.json(url, requestOf(request, { headers, body }))
}

/** A report that was there and is no more. */
export function expired(message: string, cause?: unknown): TransientError {
  return new TransientError('REPORT_EXPIRED', {
    message,
    hint: 'Nothing of this chunk was published. Another report is asked for.',
    cause,
  })
}

/** An answer about a report that is not what was declared. */
export function malformed(url: URL, what: string, body: unknown): DataError {
  return new DataError('REPORT_MALFORMED', {
    message: `${safeUrl(url)}: ${what} (the body is ${shapeOf(body)})`,
    hint: 'Nothing of this chunk was published. Compare what the connector declares with what the API documents.',
  })
}
