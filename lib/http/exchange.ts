import { type Dispatcher, errors, request } from 'undici'
import { Bytes } from '../bytes.ts'
import { ConfigError, DataError, HeadraceError, TransientError } from '../errors.ts'
import type { HttpContext, HttpUsage, JsonAnswer, JsonRequest } from './client.ts'
import { safeUrl } from './redact.ts'
import { Retryable } from './retry.ts'

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number
  readonly headers: JsonAnswer['headers']
  /** To be released once it is understood. */
  readonly body: Bytes
}

/** One try: a request and its whole answer, within the deadline. */
export async function exchange(url: URL, asked: JsonRequest, context: HttpContext, usage: HttpUsage): Promise<Answer> {
  const { signal, options, onRequest } = context
  signal.throwIfAborted()
  const started = performance.now()
  const stopper = new AbortController()
  const stopped = new Promise<never>((_, reject) => {
    stopper.signal.addEventListener('abort', () => reject(stopper.signal.reason), { once: true })
  })
  // Not AbortSignal.any and AbortSignal.timeout: those would stay behind, one pair per request, until the deadline has passed.
  const abort = (): void => stopper.abort(signal.reason)
  const timer = setTimeout(
    () => stopper.abort(new Error(`no complete answer within ${options.deadlineMs / 1_000} s`)),
    options.deadlineMs,
  )
  signal.addEventListener('abort', abort, { once: true })
  let status = 0
  usage.requests++
  try {
    const answering = send(url, asked, context.dispatcher, stopper.signal).then(async answer => {
      status = answer.statusCode
      return { status, headers: answer.headers, body: await wholeBody(answer.body, url, options.bodyLimit, usage) }
    })
    // undici heeds the signal only once there is a connection; to wait for one must not take longer either.
    return await Promise.race([answering, stopped])
  } catch (error) {
    if (error instanceof HeadraceError) throw error
    throw new Retryable(
      new TransientError('API_UNREACHABLE', {
        message: `${safeUrl(url)}: ${reasonOf(error)}`,
        hint: 'Nothing of this chunk was published. Run again when the API can be reached.',
        cause: error,
      }),
    )
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    onRequest(status, (performance.now() - started) / 1_000)
  }
}

async function send(
  url: URL,
  { method = 'GET', headers = {}, body }: JsonRequest,
  dispatcher: Dispatcher,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  try {
    return await request(url, {
      dispatcher,
      method,
      headers: {
        accept: 'application/json',
        // Unless told otherwise, a server may compress as it likes.
        'accept-encoding': 'identity',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...own,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
      // The deadline of the try is the only clock.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  } catch (error) {
    if (!(error instanceof errors.InvalidArgumentError)) throw error
    throw new ConfigError('CONFIG_INVALID', {
      message: `${safeUrl(url)}: the request cannot be sent: ${error.message}`,
      hint: 'Nothing was sent. Correct the connector, or the credential it puts into a header.',
    })
  }
}

async function wholeBody(answer: Dispatcher.ResponseData['body'], url: URL, limit: number, usage: HttpUsage): Promise<Bytes> {
  const body = new Bytes()
  try {
    for await (const block of answer as AsyncIterable<Buffer>) {
      usage.bytes += block.length
      if (body.length + block.length > limit) {
        throw new DataError('BODY_TOO_LARGE', {
          message: `${safeUrl(url)}: one answer is larger than ${Math.round(limit / 2 ** 20)} MiB`,
          hint: 'Nothing of this chunk was published. Ask the API for smaller pages, or use shorter windows.',
        })
      }
      body.append(block)
    }
    return body
  } catch (error) {
    body.release()
    throw error
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, name } = error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (message === '') return code || name
  return message.includes(code) ? message : `${code}: ${message}`
}
