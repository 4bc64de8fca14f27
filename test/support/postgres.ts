import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { freePort } from '../prove/free-port.ts'

/** A password that must not be seen anywhere. */
export const PASSWORD = 'pa55-w/ord'

/** PostgreSQL refuses to run as root, and this user owns nothing else. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** A server of PostgreSQL that only the tests use; its texts are ordered by a language, as those of many servers are. */
export class PostgresServer {
  readonly port: number
  /** The folder of its programs. */
  readonly programs: string
  readonly #folder: string
  #server: ChildProcess | undefined

  private constructor(programs: string, folder: string, port: number) {
    this.programs = programs
    this.#folder = folder
    this.port = port
  }

  /** Makes an empty server and starts it; undefined where PostgreSQL is not installed. */
  static async start(): Promise<PostgresServer | undefined> {
    const programs = globSync('/usr/lib/postgresql/*/bin').toSorted().at(-1)
    if (programs === undefined || !existsSync(join(programs, 'initdb'))) return undefined
    const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'headrace-postgres-'))
    const server = new PostgresServer(programs, folder, await freePort())
    writeFileSync(join(folder, 'password'), PASSWORD)
    if (NOBODY.uid !== undefined) for (const path of [folder, join(folder, 'password')]) chownSync(path, NOBODY.uid, NOBODY.gid)
    const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US']
    const user = ['--username=headrace', '--auth=scram-sha-256', `--pwfile=${join(folder, 'password')}`]
    execFileSync(join(programs, 'initdb'), ['-D', server.#data, '--no-sync', ...locale, ...user], { ...NOBODY, stdio: 'ignore' })
    await server.restart()
    return server
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }

  /** The address of a database, through another port when there is something in between. */
  url(database = 'postgres', port = this.port): string {
    return `postgres://headrace:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${database}`
  }

  /** Makes an empty database; returns its address. */
  async database(name: string): Promise<string> {
    await this.query(this.url(), `CREATE DATABASE ${name}`)
    return this.url(name)
  }

  /** Starts it again, and waits until it answers. */
  async restart(): Promise<void> {
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: '',
      fsync: 'off',
      shared_buffers: '16MB',
    }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    this.#server = spawn(join(this.programs, 'postgres'), ['-D', this.#data, ...options], { ...NOBODY, stdio: 'ignore' })
    for (let tries = 0; tries < 200; tries++) {
      if ((await this.query(this.url(), 'SELECT 1').catch(() => undefined)) !== undefined) return
      await delay(50)
    }
    throw new Error('PostgreSQL does not start')
  }

  /** Ends it at once, as a crash would. */
  async crash(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    const ended = once(server, 'exit')
    server.kill('SIGQUIT')
    await ended
    this.#server = undefined
  }

  /** Asks a database, beside any ledger. */
  async query(url: string, sql: string, ...values: readonly unknown[]): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: url })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(sql, [...values])).rows
    } finally {
      await client.end()
    }
  }

  /** Ends it for good, and removes what it wrote. */
  async close(): Promise<void> {
    await this.crash()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
