import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of a COMMIT: it passes; or it never arrives; or it arrives and its answer does not; or nothing is answered from then on. */
export type Fault = 'none' | 'lost' | 'unanswered' | 'hanging'

/** A way to a server on which connections break off at a COMMIT. */
export class FaultyWay {
  /** What becomes of the next COMMIT; it says `none` again once it has happened, but for `hanging`. */
  fault: Fault = 'none'
  /** How often it has happened. */
  happened = 0
  port = 0
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(port: number) {
    this.#server = createServer(client => this.#pass(client, connect(port, '127.0.0.1')))
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
    }
    let fault: Fault = 'none'
    client.on('data', data => {
      if (this.fault !== 'none' && data.includes('COMMIT\0')) {
        fault = this.fault
        this.happened++
        if (fault !== 'hanging') this.fault = 'none'
      }
      if (fault === 'lost') client.destroy()
      else if (this.fault !== 'hanging') server.write(data)
    })
    server.on('data', data => {
      if (this.fault === 'hanging') return
      if (fault === 'unanswered') client.destroy()
      else client.write(data)
    })
    client.on('close', () => server.destroy())
    server.on('close', () => client.destroy())
  }
}
