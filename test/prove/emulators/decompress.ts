import { createServer, type IncomingMessage, request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import type { Running } from './install.ts'

/**
 * Stands before an emulator and takes the compression out of uploads, which no emulator knows and BigQuery does. Everything else goes through
 * as it is. Good for uploads of one part.
 */
export async function decompressing(target: string): Promise<Running> {
  const server = createServer(async (incoming, outgoing) => {
    const { headers, body } = plain(incoming, Buffer.concat(await Array.fromAsync<Buffer>(incoming)))
    const passed = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers }, answer => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    })
    passed.on('error', () => outgoing.destroy())
    passed.end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close().closeAllConnections() }
}

function plain(
  { headers }: IncomingMessage,
  body: Buffer,
): { readonly headers: IncomingMessage['headers']; readonly body: Buffer } {
  const { 'x-upload-content-length': _, 'transfer-encoding': __, connection: ___, ...kept } = headers
  if (body[0] !== 0x1f || body[1] !== 0x8b) return { headers: { ...kept, 'content-length': String(body.length) }, body }
  const lines = gunzipSync(body)
  const range = `bytes 0-${lines.length - 1}/${lines.length}`
  return { headers: { ...kept, 'content-length': String(lines.length), 'content-range': range }, body: lines }
}
