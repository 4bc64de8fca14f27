import { Bytes } from '../bytes.ts'
import { DataError } from '../errors.ts'
import type { TryOutcome } from '../pace/pace.ts'
import { Answer, judge } from './answer.ts'
import type { Authorization, HttpContext, HttpUsage, JsonRequest } from './client.ts'
import { safeUrl } from './redact.ts'
import { Retryable } from './retry.ts'
import { type Arriving, send } from './send.ts'

/** One try: a request and its whole answer, if that is what was asked for. */
export async function exchange(
  url: URL,
  asked: JsonRequest,
  context: HttpContext,
  usage: HttpUsage,
  refused?: Authorization,
): Promise<Answer> {
  const { deadlineMs, idleMs } = context.options
  const deadlines = { headersMs: deadlineMs, idleMs, wholeMs: deadlineMs }
  return receive(await send(url, asked, context, usage, deadlines, refused), asked, context)
}

/** Takes in the body of an answer, says how the try ended, and throws what an answer means that was not asked for. */
export async function receive(arriving: Arriving, asked: JsonRequest, context: HttpContext): Promise<Answer> {
  const { options, api = {}, signal, now } = context
  const { sent, status, headers } = arriving
  const bytes = new Bytes()
  const answer = new Answer(sent, status, headers, bytes)
  try {
    await fill(bytes, arriving, options.bodyLimit)
    const limits = (api.left ?? []).flatMap(read => read(answer, now()))
    try {
      judge(answer, asked.classify?.(answer) ?? api.classify?.(answer), api, now())
      arriving.close({ outcome: 'ok', limits })
      return answer
    } catch (error) {
      arriving.close({ ...outcomeOf(error), limits }, error)
      throw error
    }
  } catch (error) {
    answer.release()
    const failure: unknown = signal.aborted ? signal.reason : error
    arriving.close({ outcome: signal.aborted ? 'abandoned' : 'failed' }, failure)
    throw failure
  }
}

/** What an answer that was not asked for says about the API. One that refuses, or wants other credentials, works. */
function outcomeOf(error: unknown): Pick<TryOutcome, 'outcome' | 'waitMs'> {
  if (!(error instanceof Retryable) || error.why === 'unauthorized') return { outcome: 'ok' }
  const { why, hintMs } = error
  return { outcome: why === 'throttled' ? 'throttled' : 'failed', ...(hintMs === undefined ? {} : { waitMs: hintMs }) }
}

async function fill(bytes: Bytes, { status, sent, blocks }: Arriving, limit: number): Promise<void> {
  try {
    for await (const block of blocks) {
      if (bytes.length + block.length > limit) {
        throw new DataError('BODY_TOO_LARGE', {
          message: `${safeUrl(sent.url)}: one answer is larger than ${Math.round(limit / 2 ** 20)} MiB`,
          hint: 'Nothing of this chunk was published. Ask the API for smaller pages, or use shorter windows.',
        })
      }
      bytes.append(block)
    }
  } catch (error) {
    // An error of the server stays one although its explanation is damaged.
    const damaged = error instanceof Retryable && error.error.code === 'API_BODY_BROKEN'
    if (!damaged || (status >= 200 && status <= 299)) throw error
  }
}
