import type { Answer, Client } from './client.ts'
import { ServiceError } from './failure.ts'
import type { Job, JobRequest, Submit } from './jobs.ts'
import { readableParts } from './spool.ts'

/** Bytes of one part: a multiple of the 256 KiB that BigQuery asks for. What is held in memory of a file. */
const PART = 8 * 2 ** 20

/**
 * Hands a load job over together with its file, part by part: the client has only the one-piece upload, which ends at some size and cannot be
 * taken up again.
 */
export function upload(client: Client, path: string): Submit {
  return async request => {
    const { size, read, close } = await readableParts(path)
    try {
      const address = await begin(client, request, size)
      return await sendParts(client, address, size, read)
    } finally {
      await close()
    }
  }
}

/** Opens the upload; nothing happens by that, so it may be repeated. */
async function begin(client: Client, request: JobRequest, size: number): Promise<string> {
  const { headers } = await client.ask({
    method: 'POST',
    path: await client.uploadAddress(),
    query: { uploadType: 'resumable' },
    json: request,
    headers: { 'X-Upload-Content-Type': 'application/octet-stream', 'X-Upload-Content-Length': String(size) },
  })
  if (typeof headers.location !== 'string') throw new ServiceError({ message: 'the upload was opened without an address' })
  return headers.location
}

async function sendParts(
  client: Client,
  address: string,
  size: number,
  read: (from: number, length: number) => Promise<Buffer>,
): Promise<Job> {
  let stored = 0
  for (let failures = 0; ; ) {
    const answer = await sendPart(client, address, size, stored, read)
    if (answer !== undefined && answer.status !== 308) return answer.body
    const next = answer === undefined ? stored : storedBytes(answer)
    if (next > stored) failures = 0
    else if (++failures >= client.settings.tries)
      throw new ServiceError({ message: `the upload stays at ${stored} of ${size} bytes` })
    else await client.pause(failures)
    stored = next
  }
}

/** Sends what is not there yet, or only asks how much is; no answer when nobody knows. */
async function sendPart(
  client: Client,
  address: string,
  size: number,
  stored: number,
  read: (from: number, length: number) => Promise<Buffer>,
): Promise<Answer | undefined> {
  const part = await read(stored, PART)
  const put = (bytes: Buffer, range: string): Promise<Answer> =>
    client.send({ method: 'PUT', path: address, bytes, headers: { 'Content-Range': `bytes ${range}/${size}` } })
  const whole = (): Promise<Answer> => put(Buffer.alloc(0), '*')
  try {
    if (part.length === 0) return await whole()
    return await put(part, `${stored}-${stored + part.length - 1}`).catch((error: unknown) => {
      if (!(error instanceof ServiceError && error.mayPass)) throw error
      return whole()
    })
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error
    // Whether a job came of it, its id will tell; if not, the upload begins anew.
    if (error.status === 404 || error.status === 410) throw new ServiceError({ message: 'the upload has expired' })
    if (error.mayPass) return undefined
    throw error
  }
}

/** How many bytes BigQuery has, which is what counts, not what was sent. */
function storedBytes({ headers }: Answer): number {
  const range = /^bytes=0-(\d+)$/.exec(String(headers.range ?? ''))
  return range === null ? 0 : Number(range[1]) + 1
}
