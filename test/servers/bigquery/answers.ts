import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { type ApiError, envelope } from './errors.ts'

/** What a request is answered. Without a body there is none. */
export interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: OutgoingHttpHeaders
}

/** An answer with what was asked for. */
export function ok(body: unknown): Answer {
  return { status: 200, body }
}

/** An answer with an error. */
export function failed(error: ApiError): Answer {
  return { status: error.status, body: envelope(error.proto, error.status) }
}

/** What the service sends with every JSON body. */
const JSON_TYPE = 'application/json; charset=UTF-8'

/** Sends an answer as it should be. */
export function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body))
  const type = body === undefined ? {} : { 'content-type': JSON_TYPE }
  const all = Object.entries({ ...type, 'content-length': bytes.length, ...headers }).filter(([, value]) => value !== undefined)
  response.writeHead(status, Object.fromEntries(all)).end(bytes)
}

/** Sends half of an answer, then breaks the connection. */
export function sendHalf(response: ServerResponse, { status, body }: Answer): void {
  const bytes = Buffer.from(JSON.stringify(body ?? {}))
  response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': bytes.length })
  response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.destroy())
}

/** Sends an answer byte by byte, so slowly that it never ends. */
export function drip(response: ServerResponse, { status, body }: Answer): void {
  const bytes = Buffer.from(JSON.stringify(body ?? {}))
  response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': bytes.length })
  let sent = 0
  const timer = setInterval(() => response.write(bytes.subarray(sent, ++sent)), 1_000)
  timer.unref()
  response.on('close', () => clearInterval(timer))
}

/** What a proxy on the way answers. */
export function sendPage(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'text/html' }).end(`<html><title>Error ${status}</title></html>`)
}
