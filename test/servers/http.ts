import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'

/** A request as it arrived. */
export interface Received {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** An answer written down, or a function that gives it, or writes whatever it likes. */
export type Scripted =
  | { readonly status?: number; readonly headers?: Record<string, string | string[]>; readonly body?: unknown }
  | ((received: Received, response: ServerResponse, request: IncomingMessage) => Scripted | undefined)

/** A server on the loopback interface. */
export interface Server {
  readonly url: string
  /** Everything that was asked, in order. */
  readonly received: readonly Received[]
  /** Sockets that clients hold open. */
  readonly sockets: ReadonlySet<Socket>
  /** Resolves when that many requests have arrived. */
  arrived(count: number): Promise<void>
  /** Resolves when no client holds a socket. */
  deserted(): Promise<void>
  close(): Promise<void>
}

/** Starts a server that gives the answers of a list in turn, the last one for ever, or those of one function. */
export async function serve(script: Scripted | readonly Scripted[]): Promise<Server> {
  const answers = Array.isArray(script) ? (script as readonly Scripted[]) : [script as Scripted]
  const received: Received[] = []
  const sockets = new Set<Socket>()
  let turn = 0
  const server = createServer(async (request, response) => {
    const path = request.url ?? '/'
    const asked: Received = {
      method: request.method ?? '',
      path,
      query: new URL(path, 'http://localhost').searchParams,
      headers: request.headers,
      body: await text(request).catch(() => ''),
    }
    let answer: Scripted | undefined = answers[Math.min(turn++, answers.length - 1)]
    received.push(asked)
    server.emit('arrived')
    while (typeof answer === 'function') answer = answer(asked, response, request)
    if (answer === undefined) return
    const { status = 200, headers = {}, body = '' } = answer
    const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(bytes)
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      server.emit('left')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    sockets,
    arrived: async count => {
      while (received.length < count) await once(server, 'arrived')
    },
    deserted: async () => {
      while (sockets.size > 0) await once(server, 'left')
    },
    close: async () => {
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await new Promise(resolve => server.close(resolve))
    },
  }
}

/** Closes the connection without an answer. */
export const RESET: Scripted = (_received, response) => {
  response.socket?.resetAndDestroy()
}

/** Never answers. */
export const SILENCE: Scripted = () => undefined

/** Sends the first half of a body and closes the connection. */
export function cut(body: unknown): Scripted {
  const bytes = Buffer.from(JSON.stringify(body))
  return (_received, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length })
    response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.resetAndDestroy())
  }
}
