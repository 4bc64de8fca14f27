import type { PageRequest } from '../connector.ts'
import type { JsonRequest } from './client.ts'
import type { Json } from './json.ts'

/** Headers, or a function that gives them for each request; the place for credentials. */
export type Headers = Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>)

/** What is asked of an API, and how. */
export interface Question {
  /** Absolute address. */
  readonly url: string | URL
  /** Sent as JSON, with POST. Without it the question is a GET. */
  readonly body?: Json | undefined
  readonly headers?: Headers | undefined
}

/** A question as the client takes it, with what authorizes it. */
export function requestOf({ authorize }: PageRequest, { headers = {}, body }: Omit<Question, 'url'>): JsonRequest {
  return {
    headers: typeof headers === 'function' ? headers() : headers,
    ...(authorize === undefined ? {} : { authorize }),
    ...(body === undefined ? {} : { method: 'POST', body }),
  }
}
