import type { Connector, PageRequest } from '../../lib/connector.ts'
import { graphqlAnswers } from '../../lib/http/graphql.ts'
import { at, type JsonObject } from '../../lib/http/json.ts'
import { cursor } from '../../lib/http/paginate.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import { type Address, addressOf, fillJson, valuesOf } from '../../lib/http/template.ts'
import { type PagedList, walk } from '../../lib/http/walk.ts'
import type { OAuth } from '../../lib/oauth/oauth.ts'

/** A GraphQL API that gives its records as a connection: nodes, and a `pageInfo` with `hasNextPage` and `endCursor`. */
export interface GraphqlOptions extends Pick<PagedList, 'headers' | 'wall' | 'maxPages'> {
  readonly name: string
  /** Absolute address, in which `{client}` stands for the client; or a function of nothing that gives it when it is first needed. */
  readonly url: Address
  /** The query as it is sent: it takes a variable for the cursor, and asks for `pageInfo { hasNextPage endCursor }`. */
  readonly query: string
  /** In their texts `{client}`, `{from}`, `{to}` and `{until}` stand for the chunk that is read. */
  readonly variables?: JsonObject
  /** Dotted path to the connection, below `data`. Its records are its `nodes`, or the `node` of each of its `edges`. */
  readonly connection: string
  /** Name of the variable for the cursor. Default `after`. */
  readonly after?: string
  /** Dotted path to the number of all records, below the connection, where it has one. */
  readonly total?: string
  /** Dotted path to what all records add up to, below `data`, in one page at least. */
  readonly totals?: string
  /** What errors mean, and where the API says how long to wait. Default `graphqlAnswers`. */
  readonly api?: ApiPolicy
  /** How the API is told who asks, where tokens have to be obtained; fixed credentials go into `headers`. */
  readonly auth?: OAuth
}

/** A connector for a connection of a GraphQL API. `R` is the type of one node, `S` that of its totals, where it states any. */
export function graphql<R extends object, S extends object = never>(options: GraphqlOptions): Connector<R, S> {
  const {
    name,
    url,
    query,
    variables = {},
    connection,
    after = 'after',
    total,
    totals,
    api = graphqlAnswers,
    auth,
    ...list
  } = options
  const path = `data.${connection}`
  const pages = cursor({
    param: `variables.${after}`,
    more: `${path}.pageInfo.hasNextPage`,
    next: `${path}.pageInfo.endCursor`,
    ...(total === undefined ? {} : { total: `${path}.${total}` }),
  })
  return {
    name,
    api,
    ...(auth === undefined ? {} : { auth }),
    address: () => `${(typeof url === 'string' ? url : url()).split('#')[0]}#${connection}`,
    pages: (request: PageRequest<object>) => {
      const values = valuesOf(request)
      return walk<R>(request, {
        ...list,
        ...(totals === undefined ? {} : { totals: `data.${totals}` }),
        url: addressOf(name, url, {}, values),
        body: { query, variables: fillJson(variables, values) },
        records: body => nodesOf(at(body, path)),
        pages,
      })
    },
  }
}

function nodesOf(connection: unknown): unknown {
  const edges = at(connection, 'edges')
  return Array.isArray(edges) ? edges.map(edge => at(edge, 'node')) : at(connection, 'nodes')
}
