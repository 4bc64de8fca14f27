import { Agent, type Dispatcher, request } from 'undici'
import { retryAfter } from '../http/signals.ts'

/** What requests for tokens need of their surroundings. */
export interface Wire {
  readonly dispatcher: Dispatcher
  /** Epoch milliseconds. */
  now(): number
  /** Waits, or rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/**
 * Milliseconds that a token server may take. Long, because giving up is what loses tokens: Xero had rotated while its own SDK gave up after
 * 3.5 s (XeroAPI/xero-node#614), and servers have been seen to stall for 70 s.
 */
export const TOKEN_DEADLINE_MS = 90_000

/** Largest answer of a token server. */
const BODY_LIMIT = 2 ** 20

/** The request certainly did not reach the server. */
export class NotSent extends Error {}

/** No answer within the deadline. */
export class TooLate extends Error {}

/** What an operating system or undici says when there was no connection to send anything on. */
const UNCONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/**
 * What of an answer is looked at, and the type it must have to count. Anything else, such as an id token or the name of the kind of token, is none of
 * headrace's business, and cannot make an answer unusable: a server that has rotated will not do it again.
 */
const TEXTS = [
  'access_token',
  'refresh_token',
  'error',
  'error_description',
  'device_code',
  'user_code',
  'verification_uri',
  'verification_uri_complete',
]
const NUMBERS = ['expires_in', 'refresh_token_expires_in', 'x_refresh_token_expires_in', 'interval']

/** An error of a token server, without secrets, and what else is worth knowing of its answer. */
export interface OAuthError {
  readonly error: string
  readonly error_description?: string
  /** That of the answer. */
  readonly status: number
  /** How long it asks to wait. */
  readonly wait_ms: number | undefined
  /** How far its clock is ahead of ours. */
  readonly skew_ms: number | undefined
}

/**
 * Connections for requests for tokens. None is used twice: on one that the server has just closed, nobody could tell whether the request
 * arrived. There is no limit to them: in a queue the deadline would pass before anything is sent.
 */
export function createTokenDispatcher(): Agent {
  return new Agent({ pipelining: 0, allowH2: false, connect: { timeout: 10_000 } })
}

/**
 * Sends a form and brings the answer into the shape that the standard promises. Throws `NotSent`, `TooLate`, or an error that leaves open what the
 * server did.
 */
export async function post(
  address: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  wire: Wire,
): Promise<Response> {
  const { status, header, text } = await send(address, body, headers, wire)
  const json = jsonOf(text)
  const what = `${text.length} characters of ${String(header['content-type'] ?? 'no stated type').slice(0, 60)}`
  if (json === undefined && status < 300) throw new Error(`it answered ${status} with ${what} that are not a JSON object`)
  const fields = fieldsOf(json ?? {})
  const granted = fields.access_token !== undefined || fields.device_code !== undefined
  if (granted && status < 300) return Response.json({ ...fields, token_type: 'bearer' })
  if (status < 300 && json?.error === undefined) throw new Error(`it answered ${status} without an access token`)
  const secrets = secretsOf(body, headers)
  const description = fields.error_description === undefined ? {} : { error_description: told(fields.error_description, secrets) }
  const error: OAuthError = {
    error: told(json?.error ?? what, secrets),
    ...description,
    status,
    wait_ms: retryAfter({ status, headers: header, text, body: json }, wire.now()),
    skew_ms: skewOf(header.date, wire.now()),
  }
  // The library reads errors only from 4xx; there are some with 200 (GitHub), and with 5xx.
  return Response.json(error, { status: 400 })
}

function fieldsOf(json: Readonly<Record<string, unknown>>): Readonly<Record<string, string | number>> {
  const texts = TEXTS.flatMap(name => {
    const value = json[name]
    return typeof value === 'string' && value !== '' ? [[name, value] as const] : []
  })
  // Some write numbers as text.
  const numbers = NUMBERS.flatMap(name => {
    const value = Number.parseFloat(String(json[name]))
    return value >= 0 && Number.isFinite(value) ? [[name, value] as const] : []
  })
  return Object.fromEntries<string | number>([...texts, ...numbers])
}

/** The milliseconds by which the server's clock is ahead of ours. */
function skewOf(date: string | string[] | undefined, now: number): number | undefined {
  const server = Date.parse(String(date))
  return Number.isNaN(server) ? undefined : server - now
}

interface Received {
  readonly status: number
  readonly header: Dispatcher.ResponseData['headers']
  readonly text: string
}

async function send(
  address: string,
  body: string,
  headers: Readonly<Record<string, string>>,
  { dispatcher, sleep }: Wire,
): Promise<Received> {
  const stopper = new AbortController()
  const answered = new AbortController()
  const late = sleep(TOKEN_DEADLINE_MS, answered.signal).then(() => {
    const error = new TooLate(`it did not answer within ${TOKEN_DEADLINE_MS / 1_000} s`)
    stopper.abort(error)
    throw error
  })
  const exchange = request(address, {
    dispatcher,
    method: 'POST',
    headers: { ...headers, 'accept-encoding': 'identity' },
    body,
    signal: stopper.signal,
    headersTimeout: 0,
    bodyTimeout: 0,
  }).then(async ({ statusCode, headers: header, body: stream }) => ({ status: statusCode, header, text: await textOf(stream) }))
  try {
    return await Promise.race([exchange, late])
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (UNCONNECTED.has(code) || /CERT|^ERR_TLS|^UNABLE_TO_/.test(code)) throw new NotSent(`it cannot be reached: ${code}`)
    if (error instanceof TooLate) throw error
    throw new Error(`the connection broke before it answered: ${code || (error instanceof Error ? error.name : 'unknown')}`)
  } finally {
    answered.abort()
    late.catch(() => undefined)
  }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const blocks: Buffer[] = []
  let length = 0
  for await (const block of stream) {
    length += block.length
    if (length > BODY_LIMIT) throw new Error('it sends more than a megabyte')
    blocks.push(block)
  }
  return Buffer.concat(blocks).toString('utf8')
}

function jsonOf(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** What was sent that nobody may read: a server may repeat it in an error. */
function secretsOf(body: string, headers: Readonly<Record<string, string>>): string[] {
  const open = new Set(['grant_type', 'scope', 'client_id', 'redirect_uri'])
  const sent = [...new URLSearchParams(body)].filter(([name]) => !open.has(name)).map(([, value]) => value)
  const basic = headers.authorization?.replace(/^Basic /, '') ?? ''
  const decoded = Buffer.from(basic, 'base64')
    .toString('utf8')
    .split(':')
    .map(part => decodeURIComponent(part.replaceAll('+', ' ')))
  return [...sent, basic, ...decoded.slice(1)].filter(text => text.length >= 6)
}

/** What a server says, on one line, without what was sent to it. */
function told(value: unknown, secrets: readonly string[]): string {
  let text = (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\s+/g, ' ').trim()
  for (const secret of secrets) text = text.replaceAll(secret, '…').replaceAll(encodeURIComponent(secret), '…')
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
