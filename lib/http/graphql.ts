import { at } from './json.ts'
import type { ApiPolicy, Verdict } from './policy.ts'
import { costLeft, costWait, retryAfter } from './signals.ts'

/** What the codes of errors mean; any other is a mistake in the query. */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  // Shopify, https://shopify.dev/docs/api/usage/limits; GitHub says it in `type`.
  THROTTLED: 'throttled',
  RATE_LIMITED: 'throttled',
  INTERNAL_SERVER_ERROR: 'retry',
  SERVICE_UNAVAILABLE: 'retry',
  TIMEOUT: 'retry',
  UNAUTHENTICATED: 'unauthorized',
}

/**
 * What the answers of a GraphQL API mean. Errors come with status 200, often beside data that is then not whole: an answer with errors is never
 * taken for one. Which they are is said by `extensions.code` (Apollo, Shopify) or `type` (GitHub); the gravest decides.
 */
export const graphqlAnswers: ApiPolicy = {
  classify: ({ status, body }) => {
    // An error of HTTP whose body is none of GraphQL is judged like any other.
    const errors = at(body, 'errors')
    if (!Array.isArray(errors) || errors.length === 0) return undefined
    const verdicts = errors.map(error => VERDICTS[String(at(error, 'extensions.code') ?? at(error, 'type'))] ?? 'refused')
    if (verdicts.includes('refused')) return status >= 500 ? 'retry' : 'refused'
    return verdicts.find(verdict => verdict === 'unauthorized' || verdict === 'retry') ?? 'throttled'
  },
  waits: [retryAfter, costWait('extensions.cost')],
  left: [costLeft('extensions.cost')],
}
