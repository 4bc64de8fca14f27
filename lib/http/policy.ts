import type { Limit, LimitState } from '../pace/pace.ts'

/** Headers of an answer, by lower-case name; a list where a name came more than once. */
export type AnswerHeaders = Readonly<Record<string, string | string[] | undefined>>

/** An answer as a policy sees it. */
export interface ApiAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  /** The first 2,000 bytes of the body as text. */
  readonly text: string
  /** The body as JSON; undefined when it is none. Parsed when it is first looked at, so look only where the status or a header says so, if that does. */
  readonly body: unknown
}

/**
 * What an answer means:
 *
 * - `ok`: what was asked for, whatever its status;
 * - `retry`: the same request may succeed;
 * - `throttled`: too many requests; the same one succeeds later;
 * - `too-much`: more data than the API gives at once; the window of the chunk is halved;
 * - `refused`: wrong, and wrong again when repeated;
 * - `page-token-expired`: the walk has to begin anew;
 * - `unauthorized`: the credential is not valid any more; with a new one the same request may succeed.
 */
export type Verdict = 'ok' | 'retry' | 'throttled' | 'too-much' | 'refused' | 'page-token-expired' | 'unauthorized'

/**
 * Says what an answer means; undefined leaves it to the default rules: 2xx is `ok`, 429 `throttled`, 408 and 5xx `retry`, 401 `unauthorized`,
 * anything else `refused`.
 */
export type Classify = (answer: ApiAnswer) => Verdict | undefined

/**
 * Reads out of a throttled or failed answer how long the server asks to wait, in milliseconds. What is not a number above 0, or more than 31 days,
 * counts as nothing.
 */
export type ReadWait = (answer: ApiAnswer, now: number) => number | undefined

/** Reads out of any answer what is left of the limits of the server. */
export type ReadLimits = (answer: ApiAnswer, now: number) => readonly LimitState[]

/** What is particular to the answers of one API. `signals.ts` has the readers that the APIs known to headrace need. */
export interface ApiPolicy {
  /** Asked of every answer, those with 2xx included: some APIs tell of errors there. */
  readonly classify?: Classify
  /** Where the wait that the server asks for may stand; the first that finds one counts. Default `[retryAfter]`. */
  readonly waits?: readonly ReadWait[]
  /** Where the server says what is left. Default nowhere. */
  readonly left?: readonly ReadLimits[]
  /** The limits that the API documents; requests are spread so that all are kept. Default none: then only `left` and refusals slow them down. */
  readonly limits?: readonly Limit[]
  /** Requests of one account that the API takes at once, from one process. Default 32. */
  readonly concurrency?: number
}
