import type { Page, PageRequest } from '../connector.ts'
import { DataError, TransientError } from '../errors.ts'
import { decoded } from './body.ts'
import { absolute } from './client.ts'
import { type Arriving, arrayElements, lineValues } from './elements.ts'
import { type Question, requestOf } from './question.ts'
import { safeUrl } from './redact.ts'
import { Retryable } from './retry.ts'
import { recordsOf } from './trail.ts'
import type { Records } from './walk.ts'

/** How the records stand in a document that is too large for memory. */
export interface Format {
  read(arriving: Arriving): AsyncGenerator<readonly unknown[]>
}

/** A list that comes as one document, however large. */
export interface StreamedList extends Question {
  readonly format: Format
  /** How many records there are, where the API told that before. */
  readonly total?: number
}

/** Bytes of one element of an array, or of one line, at most. */
const LARGEST_ELEMENT = 64 * 2 ** 20

/**
 * One JSON array: the whole document, or what stands in it at a dotted path of keys (`at`). Where its elements are not records but batches of
 * them, `batch` says where in each the records are. The list is complete when the array and the document around it are closed.
 */
export function jsonArray({ at = '', batch }: { readonly at?: string; readonly batch?: Records } = {}): Format {
  return {
    read: async function* (arriving) {
      let batches = 0
      for await (const elements of arrayElements(arriving, at)) {
        if (batch === undefined) yield elements
        else for (const element of elements) yield recordsOf(batch, element, `${arriving.where}, batch ${++batches}`)
      }
    },
  }
}

/** One record per line (JSON Lines, NDJSON). The list is complete when the answer is: its length, or the number of its records, must be known. */
export function jsonLines(): Format {
  return { read: lineValues }
}

/**
 * Reads a list as it arrives, in pages of a bounded size, in constant memory; a file in gzip is unpacked. It is complete only where its end was seen: throws
 * `API_BODY_BROKEN` for one that is cut, or that has another number of records than it should, and the chunk is read again.
 */
export async function* streamed<R extends object>(request: PageRequest, list: StreamedList): AsyncGenerator<Page<R>> {
  const { format, total } = list
  const url = absolute(list.url)
  const where = safeUrl(url)
  const blocks = unpacked(url, request.http.stream(url, requestOf(request, list)))
  let read = 0
  for await (const records of format.read({ blocks, where, largest: LARGEST_ELEMENT })) {
    read += records.length
    yield records as Page<R>
  }
  if (total === undefined || read === total) return
  throw new TransientError('API_BODY_BROKEN', {
    message: `${where}: the stream holds ${read} records, not ${total}`,
    hint: 'Nothing of this chunk was published. The chunk is read again.',
  })
}

/** The blocks, out of gzip where they are in it: what is downloaded as a file says so only by its first two bytes. */
async function* unpacked(url: URL, blocks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const first = await start(blocks)
  const whole = (async function* () {
    try {
      yield first
      yield* blocks
    } finally {
      await blocks.return(undefined)
    }
  })()
  if (first[0] === 0x50 && first[1] === 0x4b) {
    await blocks.return(undefined)
    throw new DataError('PAGE_MALFORMED', {
      message: `${safeUrl(url)}: the file is a zip archive`,
      hint: 'Nothing of this chunk was published. Have the API write gzip, or no archive at all.',
    })
  }
  const encoding = first[0] === 0x1f && first[1] === 0x8b ? 'gzip' : 'identity'
  try {
    yield* decoded(url, { 'content-encoding': encoding }, whole)
  } catch (thrown) {
    throw thrown instanceof Retryable ? thrown.error : thrown
  }
}

/** The first bytes, two at least where there are so many. */
async function start(blocks: AsyncGenerator<Buffer>): Promise<Buffer> {
  let first = Buffer.alloc(0)
  while (first.length < 2) {
    const { value, done } = await blocks.next()
    if (done) break
    first = Buffer.concat([first, value])
  }
  return first
}
