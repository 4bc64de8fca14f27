import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { ConfigError } from '../errors.ts'

/** A listening metrics endpoint. */
export interface MetricsServer {
  readonly port: number
  close(): Promise<void>
}

/** Serves a registry at `/metrics`; port 0 takes any free one. Throws `PORT_IN_USE` when somebody else listens there. */
export async function serveMetrics(registry: Registry, port: number): Promise<MetricsServer> {
  const server = createServer(async (request, response) => {
    if (request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end('metrics are at /metrics\n')
      return
    }
    try {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
    } catch (error) {
      response.writeHead(500).end(`${error}\n`)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(unavailable(port, error)))
    server.listen(port, resolve)
  })
  // A scraper that keeps its connection must not keep a finished run alive.
  server.unref()
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function unavailable(port: number, error: NodeJS.ErrnoException): unknown {
  if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') return error
  return new ConfigError('PORT_IN_USE', {
    message:
      error.code === 'EADDRINUSE' ? `port ${port} is taken by another process` : `port ${port} may not be used by this user`,
    hint: 'Name another one with --metrics-port, or leave it out. Nothing was read or written.',
    cause: error,
  })
}
