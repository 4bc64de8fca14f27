import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Answer } from './answers.ts'
import type { Context } from './context.ts'
import { ApiError } from './errors.ts'
import { createLoad } from './job-routes.ts'
import { type Json, object } from './json.ts'
import { checkLoad } from './load.ts'
import { Multipart } from './multipart.ts'

/** Destroys a connection in the middle of what it sends. */
export class CutUpload extends Error {}

/** An upload of one request: its first part is read, its media waits. */
export interface Upload {
  readonly body: Json
  /** Takes the media and answers; stops after `limit` bytes of it. */
  receive(limit: number | undefined): Promise<Answer>
}

/** The most bytes of JSON that come before the media. */
const LARGEST_HEAD = 10_000_000

/** Begins a multipart upload: everything that can be refused is, before any media is read. */
export async function openMultipart(context: Context, request: IncomingMessage): Promise<Upload> {
  const parts = new Multipart(request, request.headers['content-type'] ?? '')
  await parts.start()
  await parts.next()
  const body = parseHead(await collect(parts.content()))
  return {
    body,
    receive: async limit => {
      checkHead(body)
      await parts.next()
      const file = join(context.folder, randomUUID())
      try {
        await pipeline(cutAfter(parts.content(), limit), createWriteStream(file))
        await parts.finish()
        return createLoad(context, body, file)
      } catch (error) {
        await rm(file, { force: true })
        throw error
      }
    },
  }
}

/** One resumable upload, from its start until its job exists. */
interface Session {
  readonly body: Json
  readonly file: string
  stored: number
  answer: Answer | undefined
}

/** Parts in between are a multiple of this. */
const QUANTUM = 262_144

/** Resumable uploads by id. */
export class ResumableUploads {
  readonly #sessions = new Map<string, Session>()
  readonly #context: Context
  readonly #base: () => string

  constructor(context: Context, base: () => string) {
    this.#context = context
    this.#base = base
  }

  /** Opens a session and answers where the media goes. */
  start(body: Json): Answer {
    checkHead(body)
    const id = randomUUID()
    this.#sessions.set(id, { body, file: join(this.#context.folder, id), stored: 0, answer: undefined })
    const location = `${this.#base()}/upload/bigquery/v2/projects/${this.#context.project}/jobs?uploadType=resumable&upload_id=${id}`
    return { status: 200, headers: { location, 'x-guploader-uploadid': id } }
  }

  /** Forgets every session: their addresses are gone, as they are after a week. */
  expire(): void {
    this.#sessions.clear()
  }

  /** What the session was opened for. */
  body(id: string | null): Json {
    return this.#session(id).body
  }

  /** Takes a part, or says what is there. */
  async put(id: string | null, request: IncomingMessage, limit: number | undefined): Promise<Answer> {
    const session = this.#session(id)
    const range = rangeOf(request.headers['content-range'])
    if (session.answer !== undefined || range.first === undefined) {
      for await (const _ of request);
      if (session.answer !== undefined) return session.answer
      return range.total === session.stored ? this.#finish(session) : incomplete(session)
    }
    const { first, total } = range
    if (first > session.stored)
      throw new ApiError('badRequest', `Part starts at ${first}, but ${session.stored} bytes are stored.`)
    const file = await open(session.file, 'a')
    try {
      await file.truncate(first)
      session.stored = first
      for await (const chunk of cutAfter(request, limit)) {
        await file.write(chunk)
        session.stored += chunk.length
      }
    } catch (error) {
      // What arrived is kept in whole quanta.
      session.stored -= session.stored % QUANTUM
      await file.truncate(session.stored)
      throw error
    } finally {
      await file.close()
    }
    if (session.stored === total || range.open) return this.#finish(session)
    if (session.stored % QUANTUM !== 0) throw new ApiError('badRequest', `Parts must be multiples of ${QUANTUM} bytes.`)
    return incomplete(session)
  }

  #finish(session: Session): Answer {
    session.answer = createLoad(this.#context, session.body, session.file)
    return session.answer
  }

  #session(id: string | null): Session {
    const session = this.#sessions.get(id ?? '')
    if (session === undefined) throw new ApiError('notFound', 'Not Found: upload session')
    return session
  }
}

function incomplete({ stored }: Session): Answer {
  return { status: 308, headers: stored === 0 ? {} : { range: `bytes=0-${stored - 1}` } }
}

interface Range {
  /** Undefined for a question about the state of the upload. */
  readonly first: number | undefined
  /** Undefined while it is not known. */
  readonly total: number | undefined
  /** The whole file, without saying so. */
  readonly open: boolean
}

function rangeOf(header: string | undefined): Range {
  if (header === undefined) return { first: 0, total: undefined, open: true }
  const [, first, , total] = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(header) ?? []
  if (total === undefined) throw new ApiError('badRequest', `Invalid Content-Range ${header}`)
  return {
    first: first === undefined ? undefined : Number(first),
    total: total === '*' ? undefined : Number(total),
    open: false,
  }
}

function checkHead(body: Json): void {
  const { load } = object(body.configuration)
  if (load === undefined) throw new ApiError('invalid', 'Required parameter is missing: configuration.load')
  checkLoad(object(load))
}

function parseHead(text: string): Json {
  try {
    return object(JSON.parse(text))
  } catch {
    throw new ApiError('badRequest', 'Invalid JSON payload received.')
  }
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = []
  let size = 0
  for await (const chunk of chunks) {
    size += chunk.length
    if (size > LARGEST_HEAD) throw new ApiError('badRequest', 'The configuration of the job is too large.')
    all.push(Buffer.from(chunk))
  }
  return Buffer.concat(all).toString()
}

async function* cutAfter(chunks: AsyncIterable<Buffer>, limit: number | undefined): AsyncGenerator<Buffer> {
  let left = limit ?? Number.POSITIVE_INFINITY
  for await (const chunk of chunks) {
    if (chunk.length >= left) {
      yield chunk.subarray(0, left)
      throw new CutUpload('cut')
    }
    left -= chunk.length
    yield chunk
  }
  if (limit !== undefined) throw new CutUpload('cut')
}
