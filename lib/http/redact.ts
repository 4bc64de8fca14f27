import type { AnswerHeaders } from './policy.ts'

/** A request as it was sent: what of it must not be told. */
export interface Sent {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The body as it was sent; empty for none. */
  readonly body: string
  /** Those of the headers that `authorize` gave. */
  readonly authorization: Readonly<Record<string, string>>
}

/** The address without its query, which often carries tokens; the only form that may stand in an error or a log. */
export function safeUrl({ origin, pathname }: URL): string {
  return origin + pathname
}

/** How the body of an answer is encoded. */
export function encodingOf(headers: AnswerHeaders): string {
  return String(headers['content-encoding'] ?? 'identity').toLowerCase()
}

/**
 * The beginning of the body of an answer, on one line. What looks like a query, and any long value that was sent, is left out: an API may repeat both, and
 * both may be credentials.
 */
export function excerpt(text: string, headers: AnswerHeaders, sent: Sent): string {
  let line = text.replaceAll('\\/', '/').replace(/\s+/g, ' ').trim()
  if (line === '') return encodingOf(headers) === 'identity' ? 'an empty body' : `encoded as ${encodingOf(headers).slice(0, 100)}`
  const { search, searchParams } = sent.url
  const values = [...search.split(/[?&=]/), ...searchParams.values(), ...Object.values(sent.headers)]
  for (const value of values.flatMap(value => value.split(' '))) if (value.length >= 12) line = line.replaceAll(value, '…')
  line = line.replace(/\?[^\s"'<>=]+=[^\s"'<>]*/g, '?…')
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}
