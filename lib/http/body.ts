import { pipeline } from 'node:stream'
import { createBrotliDecompress, createGunzip } from 'node:zlib'
import { TransientError } from '../errors.ts'
import type { AnswerHeaders } from './policy.ts'
import { encodingOf, safeUrl } from './redact.ts'
import { Retryable } from './retry.ts'

/** What a server may encode an answer with. */
export const ENCODINGS = 'gzip, br'

/** Block size of decoders, in bytes. */
const BLOCK = 65_536

/**
 * The blocks of a body, decoded. One that ends before its encoding does, or is not encoded as it says, is an error like any other that breaks a
 * body. Whoever stops reading ends the source as well.
 */
export async function* decoded(url: URL, headers: AnswerHeaders, blocks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const encoding = encodingOf(headers)
  if (encoding === 'identity') {
    yield* blocks
    return
  }
  const decoder = decoderOf(encoding)
  const broken = (why: string, cut: boolean): Retryable => {
    const error = new TransientError('API_BODY_BROKEN', {
      message: `${safeUrl(url)}: ${why}`,
      hint: 'Nothing of this chunk was published. If it stays, the API or a proxy before it damages its answers.',
    })
    return new Retryable(error, { why: cut ? 'heavy' : 'failed' })
  }
  if (decoder === undefined) {
    await blocks.return(undefined)
    throw broken(`the answer is encoded as ${encoding.slice(0, 100)}, asked for was ${ENCODINGS}`, false)
  }
  let interrupted = false
  const source = async function* (): AsyncGenerator<Buffer> {
    try {
      yield* blocks
    } catch (error) {
      interrupted = true
      throw error
    }
  }
  // Its errors come out of the decoder.
  pipeline(source(), decoder, () => undefined)
  try {
    yield* decoder as AsyncIterable<Buffer>
  } catch (error) {
    if (interrupted) throw error
    const cut = error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR'
    throw broken(cut ? `the answer ends before its ${encoding} does` : `the answer is not ${encoding}, as it says`, cut)
  }
}

function decoderOf(encoding: string): ReturnType<typeof createGunzip> | ReturnType<typeof createBrotliDecompress> | undefined {
  if (encoding === 'gzip' || encoding === 'x-gzip') return createGunzip({ chunkSize: BLOCK })
  return encoding === 'br' ? createBrotliDecompress({ chunkSize: BLOCK }) : undefined
}
