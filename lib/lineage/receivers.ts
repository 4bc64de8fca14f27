import { open } from 'node:fs/promises'
import { isDiskFull } from '../errors.ts'
import { type Deliver, Undelivered } from './outbox.ts'

/** Where a receiver takes events, below its address: the path of the OpenLineage API. */
const ENDPOINT = 'api/v1/lineage'

/** Answers that say that the same may be taken later; any other refusal is for good. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429])

/**
 * Posts events to a receiver, such as Marquez, at `api/v1/lineage` below its address; with a key, as a bearer token. What fails says neither the key
 * nor what was answered.
 */
export function httpReceiver(url: string, key: string | undefined): Deliver {
  const address = new URL(ENDPOINT, url.endsWith('/') ? url : `${url}/`)
  const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) }
  return async (event, signal) => {
    const response = await fetch(address, { method: 'POST', headers, body: event, redirect: 'error', signal }).catch(() => {
      signal.throwIfAborted()
      throw new Undelivered('it cannot be reached', true)
    })
    await response.body?.cancel()
    if (response.ok) return
    throw new Undelivered(`it answers ${response.status}`, response.status >= 500 || LATER.has(response.status))
  }
}

/**
 * Appends events to a file, one line each, and each in one write: so several processes may share it, and it may be moved away at any time. It is created when it is not
 * there, its folder is not.
 */
export function fileReceiver(path: string): Deliver {
  let torn = false
  return async event => {
    const line = Buffer.from(`${torn ? '\n' : ''}${event}\n`)
    try {
      const file = await open(path, 'a')
      try {
        const { bytesWritten } = await file.write(line)
        torn = bytesWritten < line.length
      } finally {
        await file.close()
      }
    } catch (error) {
      throw new Undelivered(`${path}: ${error instanceof Error && 'code' in error ? error.code : 'it failed'}`, isDiskFull(error))
    }
    if (torn) throw new Undelivered(`${path}: the disk took a part of it`, true)
  }
}
