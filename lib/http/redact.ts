import { withoutCredentials } from '../errors.ts'
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

/** A text that should be an address, without its query and whatever stands before a host. */
export function safeText(address: string): string {
  return (address.split(/[?#]/)[0] ?? '').replace(/^.*@/, '…@')
}

/** How the body of an answer is encoded. */
export function encodingOf(headers: AnswerHeaders): string {
  return String(headers['content-encoding'] ?? 'identity').toLowerCase()
}

/** Headers that may be told: they say how, and never who. */
const PLAIN_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'prefer',
  'user-agent',
])

/** Values that may be told: dates and times, small numbers, and words of lower-case letters. Whatever is a credential is none of these. */
const PLAIN_VALUE = /^(\d{4}-\d\d-\d\d([T ][\d:.]+Z?)?|-?\d{1,7}|[a-z_.,]*)$/

/** The shortest text that is looked for: shorter ones stand in any text. */
const SHORTEST = 4

/** Fields of an answer whose values are nobody's business, whatever they hold. */
const SECRET_FIELD =
  /("[^"]*(?:token|secret|password|authorization|cookie|credential|signature|api_?key)[^"]*"\s*:\s*)"(?:\\.|[^"\\])*"?/gi

/**
 * The beginning of the body of an answer, on one line, without whatever may be a credential. An API may repeat what it was sent, as it is or encoded in some
 * way, so nothing that was sent may stand in it but what cannot be one: an allow-list is the only list that holds.
 */
export function excerpt(text: string, headers: AnswerHeaders, sent: Sent): string {
  let line = text.replaceAll('\\/', '/').replace(/\s+/g, ' ').trim()
  if (line === '') return encodingOf(headers) === 'identity' ? 'an empty body' : `encoded as ${encodingOf(headers).slice(0, 100)}`
  for (const value of secretsOf(sent)) line = line.replaceAll(value, '…')
  line = withoutCredentials(line)
    .replace(/\?[^\s"'<>=]+=[^\s"'<>]*/g, '?…')
    .replace(SECRET_FIELD, '$1"…"')
  return line.length > 200 ? `${line.slice(0, 200)}…` : line
}

/** Everything that was sent and may be a credential, in each form in which it may come back, the longest first. */
function secretsOf({ url, headers, body }: Sent): string[] {
  const inHeaders = Object.entries(headers).flatMap(([name, value]) =>
    PLAIN_HEADERS.has(name) ? [] : [value, ...value.split(/[\s,;=]+/), ...basicParts(value)],
  )
  const elsewhere = [...url.search.split(/[?&=]/), ...url.searchParams.values(), ...stringsOf(body)]
  const secrets = [
    ...inHeaders,
    ...elsewhere.flatMap(value => [value, ...value.split(' ')]).filter(value => !PLAIN_VALUE.test(value)),
  ]
  const forms = secrets.flatMap(value => [
    value,
    encodeURIComponent(value.toWellFormed()),
    JSON.stringify(value).slice(1, -1).replaceAll('\\/', '/'),
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;'),
  ])
  // Spaces as in the line they are looked for in.
  const found = forms.map(value => value.replace(/\s+/g, ' ').trim())
  return [...new Set(found)].filter(value => value.length >= SHORTEST).sort((a, b) => b.length - a.length)
}

/** User name and password of Basic authentication. */
function basicParts(header: string): string[] {
  const encoded = /^Basic\s+(\S+)$/i.exec(header)?.[1]
  if (encoded === undefined) return []
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return [pair, pair.slice(0, colon), pair.slice(colon + 1)]
}

/** The texts in a body of JSON. */
function stringsOf(body: string): string[] {
  const found: string[] = []
  if (body !== '') {
    JSON.parse(body, (_, value: unknown) => {
      if (typeof value === 'string') found.push(value)
      return value
    })
  }
  return found
}
