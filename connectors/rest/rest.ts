import type { Connector, PageRequest } from '../../lib/connector.ts'
import type { Json } from '../../lib/http/json.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import { type Headers, requestOf } from '../../lib/http/question.ts'
import { safeUrl } from '../../lib/http/redact.ts'
import { type Format, streamed } from '../../lib/http/streamed.ts'
import { type Address, addressOf, fillJson, type Query, type Values, valuesOf } from '../../lib/http/template.ts'
import { totalsOf } from '../../lib/http/trail.ts'
import { type PagedList, walk } from '../../lib/http/walk.ts'
import type { OAuth } from '../../lib/oauth/oauth.ts'

/** What every JSON API is asked with. In `url`, `query` and `body`, `{client}`, `{from}`, `{to}` and `{until}` stand for the chunk that is read. */
interface Asked {
  readonly name: string
  /** Absolute address, or a function of nothing that gives it when it is first needed. */
  readonly url: Address
  readonly query?: Query
  /** Sent as JSON, with POST: for an API that takes its questions in the body. */
  readonly body?: Json
  readonly headers?: Headers
  /** What is particular to the answers of the API: what its errors mean, and where it says how long to wait. */
  readonly api?: ApiPolicy
  /** How the API is told who asks, where tokens have to be obtained; fixed credentials go into `headers`. */
  readonly auth?: OAuth
}

/** A request of its own for what all records of a chunk add up to, with the same placeholders and headers. It is sent once they are read. */
export interface TotalsRequest {
  /** Absolute address. */
  readonly url: Address
  readonly query?: Query
  /** Sent as JSON, with POST. */
  readonly body?: Json
  /** Dotted path to the totals in the answer. Default the whole of it. */
  readonly at?: string
}

/** An API that gives its records in pages. The parameters of the paging are set in the query, or in the body, where there is one. */
export type PagedOptions = Asked &
  Omit<PagedList, keyof Asked | 'totals'> & {
    /** Where the API states what the records add up to: a dotted path into the pages, or a request of its own. */
    readonly totals?: string | TotalsRequest
  }

/** An API that gives all its records in one answer, however large. */
export type StreamedOptions = Asked & {
  /** `jsonArray()` or `jsonLines()`. */
  readonly stream: Format
  /** Asks the API what the records add up to. */
  readonly totals?: TotalsRequest
}

/** A JSON API, declared. */
export type RestOptions = PagedOptions | StreamedOptions

/**
 * A connector for any JSON API that answers a question with a list. `R` is the type of one record as the API documents it, `S` that of its totals,
 * where it states any.
 */
export function rest<R extends object, S extends object = never>(options: RestOptions): Connector<R, S> {
  const { name, api, auth, url, query = {}, body, totals, ...list } = options
  return {
    name,
    ...(api === undefined ? {} : { api }),
    ...(auth === undefined ? {} : { auth }),
    address: () => (typeof url === 'string' ? url : url()),
    pages: async function* (request: PageRequest<object>) {
      const values = valuesOf(request)
      const question = {
        url: addressOf(name, url, query, values),
        ...(body === undefined ? {} : { body: fillJson(body, values) }),
      }
      if ('stream' in list) yield* streamed<R>(request, { ...question, headers: list.headers, format: list.stream })
      else yield* walk<R>(request, { ...list, ...question, ...(typeof totals === 'string' ? { totals } : {}) })
      if (typeof totals === 'object') await askTotals(options, totals, request, values)
    },
  }
}

async function askTotals(
  { name, headers }: Pick<RestOptions, 'name' | 'headers'>,
  { url: address, query = {}, body, at: path = '' }: TotalsRequest,
  request: PageRequest,
  values: Values,
): Promise<void> {
  const url = addressOf(name, address, query, values)
  const question = { headers, ...(body === undefined ? {} : { body: fillJson(body, values) }) }
  const answer = await request.http.json(url, requestOf(request, question))
  const stated = totalsOf(answer.body, path, safeUrl(url))
  if (stated !== undefined) request.totals(stated)
}
