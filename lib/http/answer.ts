import { isAscii } from 'node:buffer'
import type { Bytes } from '../bytes.ts'
import { ConfigError, TransientError } from '../errors.ts'
import type { AnswerHeaders, ApiAnswer, ApiPolicy, Verdict } from './policy.ts'
import { excerpt, type Sent, safeUrl } from './redact.ts'
import { hintedWait, Retryable } from './retry.ts'
import { retryAfter } from './signals.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** A whole answer. Its body is kept as bytes until it is looked at, because objects that wait outlive a garbage collection and bytes do not. */
export class Answer implements ApiAnswer {
  readonly status: number
  readonly headers: AnswerHeaders
  readonly sent: Sent
  readonly #bytes: Bytes
  #parsed: { readonly body: unknown } | { readonly error: Retryable } | undefined

  constructor(sent: Sent, status: number, headers: AnswerHeaders, bytes: Bytes) {
    this.sent = sent
    this.status = status
    this.headers = headers
    this.#bytes = bytes
  }

  get text(): string {
    return this.#bytes.slice(0, Math.min(2_000, this.#bytes.length)).toString('utf8')
  }

  get body(): unknown {
    const parsed = this.#parse()
    return 'body' in parsed ? parsed.body : undefined
  }

  /** What it says of itself, for people: address, status, and the beginning of the body. */
  get summary(): string {
    return `${this.#where} (${this.#excerpt})`
  }

  /** The body, or the error that it is no JSON. The bytes are given up. */
  json(): unknown {
    const parsed = this.#parse()
    this.release()
    if ('error' in parsed) throw parsed.error
    return parsed.body
  }

  /** The body as it came. The bytes are given up. */
  take(): Buffer {
    const copy = Buffer.from(this.#bytes.slice())
    this.release()
    return copy
  }

  /** Nobody looks at the body any more. */
  release(): void {
    this.#bytes.release()
  }

  get #where(): string {
    return `${safeUrl(this.sent.url)} answered ${this.status}`
  }

  get #excerpt(): string {
    return excerpt(this.text, this.headers, this.sent)
  }

  #parse(): { readonly body: unknown } | { readonly error: Retryable } {
    this.#parsed ??= this.#parseOnce()
    return this.#parsed
  }

  #parseOnce(): { readonly body: unknown } | { readonly error: Retryable } {
    const bytes = this.#bytes.slice()
    let text: string
    try {
      // Most answers are ASCII, and decoding that is four times faster.
      text = isAscii(bytes) ? bytes.toString('latin1') : UTF8.decode(bytes)
    } catch {
      return { error: this.#broken('UTF-8', false) }
    }
    try {
      return { body: JSON.parse(text) }
    } catch {
      // The error of the parser quotes the body; the excerpt does so without what may be secret.
      return { error: this.#broken('JSON', isCut(text)) }
    }
  }

  #broken(what: string, cut: boolean): Retryable {
    const type = String(this.headers['content-type'] ?? 'no stated type').slice(0, 100)
    const error = new TransientError('API_BODY_BROKEN', {
      message: `${this.#where} with ${this.#bytes.length} bytes of ${type} that are not ${what} (${this.#excerpt})`,
      hint: 'Nothing of this chunk was published. If it stays, the API or a proxy before it sends something else than JSON.',
    })
    return new Retryable(error, { why: cut ? 'heavy' : 'failed' })
  }
}

/** Whether a text that is not JSON looks like the beginning of JSON. */
function isCut(text: string): boolean {
  const [first, last] = [text.trimStart()[0], text.trimEnd().at(-1)]
  return (first === '{' && last !== '}') || (first === '[' && last !== ']')
}

/** What an answer means by the rules that need no declaration. */
function standardVerdict(status: number): Verdict {
  if (status >= 200 && status <= 299) return 'ok'
  if (status === 429) return 'throttled'
  if (status === 401) return 'unauthorized'
  return status === 408 || status >= 500 ? 'retry' : 'refused'
}

/** Does nothing for an answer that is what was asked for; throws what any other means: `Retryable` where the same request may succeed. */
export function judge(answer: Answer, declared: Verdict | undefined, { waits = [retryAfter] }: ApiPolicy, now: number): void {
  const verdict = declared ?? standardVerdict(answer.status)
  if (verdict === 'ok') return
  const message = answer.summary
  switch (verdict) {
    case 'throttled':
    case 'retry': {
      const code = verdict === 'throttled' ? 'API_THROTTLED' : 'API_FAILED'
      const error = new TransientError(code, { message, hint: 'Nothing of this chunk was published. Run again later.' })
      throw new Retryable(error, {
        why: verdict === 'throttled' ? 'throttled' : 'failed',
        hintMs: hintedWait(answer, waits, now),
      })
    }
    case 'too-much':
      throw tooLarge(message)
    case 'page-token-expired':
      throw new TransientError('PAGE_TOKEN_EXPIRED', { message, hint: 'The chunk is read again from its first page.' })
    case 'unauthorized':
      throw new Retryable(refusal(answer), { why: 'unauthorized', authorization: answer.sent.authorization })
    case 'refused':
      throw refusal(answer)
  }
}

/** The error of a window that is more than the API gives at once. */
export function tooLarge(message: string, cause?: unknown): TransientError {
  return new TransientError('WINDOW_TOO_LARGE', {
    message,
    hint: 'Nothing of this chunk was published. A window of several days is read again in two halves; for one of a single day, ask for fewer fields.',
    cause,
  })
}

function refusal({ status, headers, summary, sent: { url } }: Answer): ConfigError {
  if (status >= 300 && status <= 399) {
    const target = headers.location === undefined ? null : URL.parse(String(headers.location), url.href)
    return new ConfigError('API_REFUSED', {
      message: target === null ? summary : `${safeUrl(url)} answered ${status} and sends to ${safeUrl(target)}`,
      hint: 'Redirects are not followed: the credentials would go along. Use the final address; or the API wants another login.',
    })
  }
  return new ConfigError('API_REFUSED', {
    message: summary,
    hint: 'Nothing of this chunk was published. Check credentials, permissions and the parameters of the request.',
  })
}
