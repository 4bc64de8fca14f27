import { isIPv6 } from 'node:net'
import { Ajv } from 'ajv'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { isDay } from '../chunk.ts'
import { asHeadraceError, ConfigError, type HeadraceError } from '../errors.ts'
import type { Log } from '../log.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** What a route does, in a few words. */
    readonly summary?: string
    readonly description?: string
    /** In the terms of OpenAPI; nothing when anybody may ask. */
    readonly security?: readonly unknown[]
  }
}

/** Where a server listens. */
export interface Address {
  /** A name or an address of this host. */
  readonly host: string
  /** 0 takes any that is free. */
  readonly port: number
}

/** A server that listens. */
export interface Listening {
  /** `http://127.0.0.1:9464`: where it is, without a slash at the end. */
  readonly url: string
  readonly port: number
  /** Ends it: what waits is answered, what is under way is finished. */
  close(): Promise<void>
}

/** Every HTTP server of headrace is this one: what it takes in is bounded in time and size, whatever its routes are. */
export const LIMITS = {
  /** Of all headers together. */
  headerBytes: 16_384,
  bodyBytes: 65_536,
  /** Until all headers are there; until the whole request is there. */
  headersMs: 10_000,
  requestMs: 15_000,
  /** How often it is looked for requests that are late. */
  checkMs: 1_000,
  /** How long a connection may stay without a request. */
  idleMs: 30_000,
  /** How long one may stay without a byte on it, for those who do not read their answer; longer than anybody may wait. */
  silentMs: 90_000,
  connections: 1_000,
}

/** The same, with other numbers. */
export type Limits = Readonly<typeof LIMITS>

/** What a request is refused with: an error for people, and the status that says so to programs. */
export class Refusal extends Error {
  readonly status: number
  readonly error: HeadraceError

  constructor(status: number, error: HeadraceError) {
    super(error.message)
    this.status = status
    this.error = error
  }
}

/** A request that does not make sense. */
export function refusal(
  status: number,
  message: string,
  hint = 'Nothing was changed. docs/api.md lists what can be asked.',
): Refusal {
  return new Refusal(status, new ConfigError('USAGE', { message, hint }))
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i

/** Adds routes to a server; `routes` are all that were added so far. */
export type Register = (app: FastifyInstance, routes: readonly RouteOptions[]) => void

/** Where only this host can reach it, requests that call it by another name are refused. */
function createApp(
  fastify: typeof import('fastify').fastify,
  log: Log,
  host: string,
  register: Register,
  limits: Limits,
): FastifyInstance {
  const loopback = LOOPBACK.test(host)
  const app = fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionTimeout: limits.silentMs,
    routerOptions: { maxParamLength: 1_024 },
    http: {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersMs,
      connectionsCheckingInterval: limits.checkMs,
    },
  })
  app.server.maxConnections = limits.connections
  // Answers are what the routes return, as it is: a serializer made from a schema leaves out what the schema does not name.
  app.setSerializerCompiler(() => answer => JSON.stringify(answer))
  const validators = { text: ajv(true), body: ajv(false) }
  app.setValidatorCompiler(({ schema, httpPart }) => (httpPart === 'body' ? validators.body : validators.text).compile(schema))
  // Only JSON is taken: a form that another site makes a browser send is not.
  app.removeContentTypeParser('text/plain')

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    // A name that somebody else's DNS leads here makes a browser take this server for theirs.
    if (loopback && !LOOPBACK.test(hostnameOf(request.headers.host ?? ''))) {
      throw refusal(421, `this server answers to localhost, not to ${(request.headers.host ?? '').slice(0, 100)}`)
    }
  })
  app.addHook('onResponse', async (request, reply) => {
    const { statusCode: status } = reply
    const told = { event: 'http.request', method: request.method, route: routeOf(request), status, from: request.ip }
    const ms = Math.round(reply.elapsedTime)
    if (status === 401 || status >= 500) log.warn({ ...told, ms }, 'request refused')
    else log.debug({ ...told, ms }, 'request answered')
  })
  app.setNotFoundHandler(request => {
    throw refusal(404, `there is no ${request.method} of this path`)
  })
  app.setErrorHandler((thrown, request, reply) => {
    const { status, error } = refusalOf(thrown)
    if (status >= 500) log.error({ event: 'http.failed', route: routeOf(request), err: thrown }, error.message)
    const { code, message, hint = null } = error
    return reply.code(status).send({ error: { code, message, hint } })
  })

  const routes: RouteOptions[] = []
  let complete = false
  app.addHook('onRoute', route => {
    if (!complete) routes.push(route)
  })
  register(app, routes)
  complete = true
  refuseOtherMethods(app, routes)
  return app
}

/** Every path says by itself what it does not do. */
function refuseOtherMethods(app: FastifyInstance, routes: readonly RouteOptions[]): void {
  for (const [url, same] of Map.groupBy(routes, ({ url }) => url)) {
    const methods = [...new Set(same.flatMap(({ method }) => method))]
    app.route({
      method: app.supportedMethods.filter(method => !methods.includes(method)),
      url,
      handler: (request, reply) => {
        reply.header('allow', methods.join(', '))
        throw refusal(405, `${request.method} is not what this path does`)
      },
    })
  }
}

/** Nothing here is for caches, for frames of other sites, or for scripts. */
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

function ajv(coerceTypes: boolean): Ajv {
  return new Ajv({ coerceTypes, useDefaults: true, formats: { date: isDay } })
}

/** The declared path, never what was asked: there may be a secret in it. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none'
}

function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, '')
}

function refusalOf(thrown: unknown): { readonly status: number; readonly error: HeadraceError } {
  if (thrown instanceof Refusal) return thrown
  const status = thrown instanceof Error && 'statusCode' in thrown ? Number(thrown.statusCode) : 500
  if (thrown instanceof Error && status < 500) return refusal(status, thrown.message)
  const error = asHeadraceError(thrown)
  if (error.code === 'USAGE') return { status: 400, error }
  return { status: error.code === 'INTERNAL' ? 500 : 503, error }
}

/** Starts a server with some routes. Throws `PORT_IN_USE` when somebody else listens there. */
export async function listen(log: Log, { host, port }: Address, register: Register, limits: Limits = LIMITS): Promise<Listening> {
  // Only now: it takes a sixth of the start of a command, and most of them serve nothing.
  const { fastify } = await import('fastify')
  const app = createApp(fastify, log, host, register, limits)
  try {
    await app.listen({ host, port })
  } catch (error) {
    await app.close()
    throw unavailable({ host, port }, error)
  }
  const bound = app.server.address()
  const at = typeof bound === 'object' && bound !== null ? bound.port : port
  return { url: `http://${isIPv6(host) ? `[${host}]` : host}:${at}`, port: at, close: () => app.close() }
}

function unavailable({ host, port }: Address, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why = {
    EADDRINUSE: `port ${port} is taken by another process`,
    EACCES: `port ${port} may not be used by this user`,
    EADDRNOTAVAIL: `${host} is not an address of this host`,
    ENOTFOUND: `${host} is not an address of this host`,
  }[String(code)]
  if (why === undefined) return error
  return new ConfigError('PORT_IN_USE', {
    message: why,
    hint: 'Name another one with --port or --metrics-port. Nothing was read or written.',
    cause: error,
  })
}
