import type { Connector } from '../../lib/connector.ts'
import type { Json } from '../../lib/http/json.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import type { Headers } from '../../lib/http/question.ts'
import { type Format, streamed } from '../../lib/http/streamed.ts'
import { type Address, addressOf, fillJson, type Query, valuesOf } from '../../lib/http/template.ts'
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

/** An API that gives its records in pages. The parameters of the paging are set in the query, or in the body, where there is one. */
export type PagedOptions = Asked & Omit<PagedList, keyof Asked>

/** An API that gives all its records in one answer, however large. */
export type StreamedOptions = Asked & {
  /** `jsonArray()` or `jsonLines()`. */
  readonly stream: Format
}

/** A JSON API, declared. */
export type RestOptions = PagedOptions | StreamedOptions

/** A connector for any JSON API that answers a question with a list. `R` is the type of one record as the API documents it. */
export function rest<R extends object>(options: RestOptions): Connector<R> {
  const { name, api, auth, url, query = {}, body, ...list } = options
  return {
    name,
    ...(api === undefined ? {} : { api }),
    ...(auth === undefined ? {} : { auth }),
    pages: request => {
      const values = valuesOf(request)
      const question = {
        url: addressOf(name, url, query, values),
        ...(body === undefined ? {} : { body: fillJson(body, values) }),
      }
      return 'stream' in list
        ? streamed<R>(request, { ...question, headers: list.headers, format: list.stream })
        : walk<R>(request, { ...list, ...question })
    },
  }
}
