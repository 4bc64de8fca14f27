import { isAscii } from 'node:buffer'
import { ConfigError, TransientError } from '../errors.ts'
import type { HttpContext, JsonAnswer, JsonRequest } from './client.ts'
import type { Answer } from './exchange.ts'
import { encodingOf, excerpt, safeUrl } from './redact.ts'
import { hintedWait, Retryable } from './retry.ts'

const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** What an answer means: JSON, or the error to throw; `Retryable` where the same request may succeed. */
export function interpret(url: URL, asked: JsonRequest, answer: Answer, now: HttpContext['now']): JsonAnswer {
  const { status, headers } = answer
  const body = answer.body.slice()
  const where = `${safeUrl(url)} answered ${status}`
  const start = (): string => excerpt(body, headers, url, asked)
  if (asked.tokenExpired?.(status, body.toString('utf8', 0, 2_000))) {
    throw new TransientError('PAGE_TOKEN_EXPIRED', {
      message: `${where} (${start()})`,
      hint: 'The chunk is read again from its first page.',
    })
  }
  if (status < 200 || status > 299) throw refusal(url, status, headers, `${where} (${start()})`, now())
  const broken = (what: string): TransientError =>
    new TransientError('API_BODY_BROKEN', {
      message: `${where} with ${body.length} bytes of ${contentType(headers)} that are not ${what} (${start()})`,
      hint: 'Nothing of this chunk was published. If it stays, the API or a proxy before it sends something else than JSON.',
    })
  if (encodingOf(headers) !== 'identity') throw broken('plain, as asked for')
  let text: string
  try {
    // Most answers are ASCII, and decoding that is four times faster.
    text = isAscii(body) ? body.toString('latin1') : UTF8.decode(body)
  } catch {
    throw new Retryable(broken('UTF-8'))
  }
  try {
    return { status, headers, body: JSON.parse(text) }
  } catch {
    // The error of the parser quotes the body; the excerpt does so without what may be secret.
    throw new Retryable(broken('JSON'))
  }
}

/** What an answer that is not 2xx means. */
function refusal(url: URL, status: number, headers: JsonAnswer['headers'], message: string, now: number): Error {
  if (status === 429 || status === 408 || status >= 500) {
    const code = status === 429 ? 'API_THROTTLED' : 'API_FAILED'
    const error = new TransientError(code, { message, hint: 'Nothing of this chunk was published. Run again later.' })
    return new Retryable(error, hintedWait(headers['retry-after'], now))
  }
  if (status >= 300 && status <= 399) {
    const target = headers.location === undefined ? null : URL.parse(String(headers.location), url.href)
    return new ConfigError('API_REFUSED', {
      message: target === null ? message : `${safeUrl(url)} answered ${status} and sends to ${safeUrl(target)}`,
      hint: 'Redirects are not followed: the credentials would go along. Use the final address; or the API wants another login.',
    })
  }
  return new ConfigError('API_REFUSED', {
    message,
    hint: 'Nothing of this chunk was published. Check credentials, permissions and the parameters of the request.',
  })
}

function contentType(headers: JsonAnswer['headers']): string {
  return String(headers['content-type'] ?? 'no stated type').slice(0, 100)
}
