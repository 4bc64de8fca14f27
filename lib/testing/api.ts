import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A request as it arrives at an API. */
export interface ApiRequest {
  readonly method: string
  /** With the address of the server in it, for an API that names whole addresses. */
  readonly url: URL
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What an API answers: the body is sent as JSON, unless it is text or bytes. */
export interface ApiReply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
}

/**
 * What becomes of a reply on its way: it is sent, perhaps another one; the connection breaks before it or in the middle; it stops in the middle;
 * nothing ever comes.
 */
export type Treatment = ApiReply | 'reset' | 'cut' | 'stall' | 'silence'

/** An API on the loopback interface. */
export interface ApiServer {
  readonly url: string
  /** Everything that was asked, in order. */
  readonly requests: readonly ApiRequest[]
  /** Resolves when that many requests have arrived. */
  arrived(count: number): Promise<void>
  close(): Promise<void>
}

/** Serves an API whose replies may be meddled with: `meddle` is told which request it is, counted from 1. */
export async function serveApi(
  answer: (asked: ApiRequest) => ApiReply,
  meddle: (turn: number, reply: ApiReply, asked: ApiRequest) => Treatment,
): Promise<ApiServer> {
  const requests: ApiRequest[] = []
  const server = createServer(async (request, response) => {
    const asked: ApiRequest = {
      method: request.method ?? '',
      url: new URL(request.url ?? '/', url),
      headers: request.headers,
      body: await text(request).catch(() => ''),
    }
    const turn = requests.push(asked)
    server.emit('asked')
    const reply = answer(asked)
    send(response, meddle(turn, reply, asked), reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    requests,
    arrived: async count => {
      while (requests.length < count) await once(server, 'asked')
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function send(response: ServerResponse, treatment: Treatment, reply: ApiReply): void {
  if (treatment === 'silence') return
  if (treatment === 'reset') {
    response.socket?.resetAndDestroy()
    return
  }
  const { status = 200, headers = {}, body } = treatment === 'cut' || treatment === 'stall' ? reply : treatment
  const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers })
  const half = bytes.subarray(0, bytes.length / 2)
  if (treatment === 'cut') response.write(half, () => response.socket?.resetAndDestroy())
  else if (treatment === 'stall') response.write(half)
  else response.end(bytes)
}
