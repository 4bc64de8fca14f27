import { TransientError } from '../errors.ts'
import type { Authorization, HttpContext, HttpUsage, JsonRequest } from './client.ts'
import { receive } from './exchange.ts'
import type { AnswerHeaders } from './policy.ts'
import { encodingOf, safeUrl } from './redact.ts'
import { send } from './send.ts'

/**
 * One try: a request, and its answer as far as the first block, so that whatever fails until then can be tried again. The try is over when the
 * blocks end, fail, or nobody reads on. An answer that is not 2xx is read to its end and judged like any other.
 */
export async function openStream(
  url: URL,
  asked: JsonRequest,
  context: HttpContext,
  usage: HttpUsage,
  refused?: Authorization,
): Promise<AsyncGenerator<Buffer>> {
  const { deadlineMs, idleMs, streamMs } = context.options
  const deadlines = { headersMs: deadlineMs, idleMs, wholeMs: streamMs }
  const arriving = await send(url, { headers: { accept: '*/*' }, ...asked }, context, usage, deadlines, refused)
  const { status, blocks, close } = arriving
  if (status < 200 || status > 299) {
    const answer = await receive(arriving, asked, context)
    return (async function* () {
      yield answer.take()
    })()
  }
  if (!isFramed(arriving.headers)) {
    const error = new TransientError('API_BODY_BROKEN', {
      message: `${safeUrl(url)}: the answer does not say where it ends, neither by its length nor in chunks`,
      hint: 'Nothing of this chunk was published. A stream like that could be cut without notice; look for a proxy that makes it so.',
    })
    close({ outcome: 'ok' }, error)
    await blocks.return(undefined)
    throw error
  }
  const failed = (error: unknown): void => close({ outcome: context.signal.aborted ? 'abandoned' : 'failed' }, error)
  let next: IteratorResult<Buffer>
  try {
    next = await blocks.next()
  } catch (error) {
    failed(error)
    throw error
  }
  return (async function* () {
    try {
      for (; !next.done; next = await blocks.next()) yield next.value
      close({ outcome: 'ok' })
    } catch (error) {
      failed(error)
      throw error
    } finally {
      await blocks.return(undefined)
      close({ outcome: 'ok' })
    }
  })()
}

/** Whether a body that is cut can be told from a whole one. */
function isFramed(headers: AnswerHeaders): boolean {
  return (
    headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined || encodingOf(headers) !== 'identity'
  )
}
