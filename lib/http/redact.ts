import type { JsonAnswer, JsonRequest } from './client.ts'

/** The address without its query, which often carries tokens; the only form that may stand in an error or a log. */
export function safeUrl({ origin, pathname }: URL): string {
  return origin + pathname
}

/** How the body of an answer is encoded. */
export function encodingOf(headers: JsonAnswer['headers']): string {
  return String(headers['content-encoding'] ?? 'identity').toLowerCase()
}

/**
 * The beginning of a body, on one line. What looks like a query, and any long value that was sent, is left out: an API may repeat both, and
 * both may be credentials.
 */
export function excerpt(body: Buffer, headers: JsonAnswer['headers'], url: URL, asked: JsonRequest): string {
  if (encodingOf(headers) !== 'identity') return `encoded as ${encodingOf(headers).slice(0, 100)}`
  let line = body.toString('utf8', 0, 4_000).replaceAll('\\/', '/').replace(/\s+/g, ' ').trim()
  if (line === '') return 'an empty body'
  const sent = [...url.search.split(/[?&=]/), ...url.searchParams.values(), ...Object.values(asked.headers ?? {})]
  for (const value of sent.flatMap(text => text.split(' '))) if (value.length >= 12) line = line.replaceAll(value, '…')
  line = line.replace(/\?[^\s"'<>=]+=[^\s"'<>]*/g, '?…')
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}
