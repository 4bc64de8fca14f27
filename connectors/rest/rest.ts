import type { Connector } from '../../lib/connector.ts'
import { ConfigError } from '../../lib/errors.ts'
import type { Json } from '../../lib/http/json.ts'
import type { OAuth } from '../../lib/http/oauth.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import { fill, fillJson, type Values, valuesOf } from '../../lib/http/template.ts'
import { type PagedList, walk } from '../../lib/http/walk.ts'

/**
 * A paginated JSON API, declared. In `url`, `query` and `body`, `{client}`, `{from}`, `{to}` and `{until}` stand for the chunk that is read.
 */
export interface RestOptions extends Omit<PagedList, 'url'> {
  readonly name: string
  /** Absolute address, or a function of nothing that gives it when it is first needed. */
  readonly url: string | (() => string)
  readonly query?: Readonly<Record<string, string | number>>
  /** Sent as JSON, with POST: for an API that takes its questions in the body. The parameters of the paging go there too. */
  readonly body?: Json
  /** What is particular to the answers of the API: what its errors mean, and where it says how long to wait. */
  readonly api?: ApiPolicy
  /** How the API is told who asks, where tokens have to be obtained; fixed credentials go into `headers`. */
  readonly auth?: OAuth
}

/** A connector for any paginated JSON API. `R` is the type of one record as the API documents it. */
export function rest<R extends object>(options: RestOptions): Connector<R> {
  const { name, api, auth, url, query = {}, body, ...list } = options
  return {
    name,
    ...(api === undefined ? {} : { api }),
    ...(auth === undefined ? {} : { auth }),
    pages: request => {
      const values = valuesOf(request)
      return walk<R>(request, {
        ...list,
        url: address(name, typeof url === 'string' ? url : url(), query, values),
        ...(body === undefined ? {} : { body: fillJson(body, values) }),
      })
    },
  }
}

function address(name: string, template: string, query: Readonly<Record<string, string | number>>, values: Values): URL {
  const text = fill(template, values, encodeURIComponent)
  const url = URL.parse(text)
  if (url === null) {
    throw new ConfigError('CONFIG_INVALID', {
      message: `connector ${name}: ${JSON.stringify(text.split('?')[0])} is not an absolute address`,
      hint: 'Nothing was sent. Correct the url of the connector.',
    })
  }
  for (const [param, value] of Object.entries(query)) url.searchParams.set(param, fill(String(value), values))
  return url
}
