import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../free-port.ts'
import { makeEnvironment } from '../python.ts'

/** An emulator of BigQuery that a package of Python brings. */
export interface Emulator {
  readonly name: string
  readonly version: string
  /** The versions of Python it runs on, best first. */
  readonly pythons: readonly string[]
  /** Whether it is done in less than a minute, and so is asked every time. */
  readonly quick: boolean
  /** What is installed beside it, each with its version. */
  readonly packages: readonly string[]
  /** The extensions of DuckDB that it loads: they come as packages, because what it would download itself may not be reachable. */
  readonly extensions: readonly string[]
  /** The arguments of the program of its name. */
  readonly start: (ports: { readonly rest: number; readonly grpc: number }, folder: string) => readonly string[]
}

/** The engine under both emulators, which has to fit the extensions. */
const DUCKDB = '1.5.5'

/** Longest a step of an installation and a start may take. */
const INSTALL_MS = 180_000
const START_MS = 30_000

/** Those that could be had. `docs/bigquery-server.md` says of which others it is known why not. */
export const EMULATORS: readonly Emulator[] = [
  {
    name: 'bqemulator',
    version: '1.4.0',
    pythons: ['3.11', '3.12', '3.13'],
    quick: true,
    packages: ['numpy==2.3.5'],
    extensions: ['spatial'],
    start: ({ rest, grpc }) => ['start', '--rest-port', `${rest}`, '--grpc-port', `${grpc}`, '--log-level', 'error'],
  },
  {
    name: 'local-bigquery',
    version: '0.4.0',
    pythons: ['3.13'],
    quick: false,
    packages: [],
    extensions: ['ducklake', 'icu', 'spatial'],
    start: ({ rest, grpc }, folder) => [
      '--host',
      '127.0.0.1',
      '--port',
      `${rest}`,
      '--grpc-port',
      `${grpc}`,
      '--project',
      'p',
      '--data-dir',
      join(folder, 'data'),
    ],
  },
]

/** Where an emulator is installed: kept, so that it is installed once. */
function home({ name, version }: Emulator): string {
  return join(tmpdir(), `headrace-${name}-${version}`)
}

/** An interpreter of one of the versions, by its name on the path or where pyenv keeps it. */
function findPython(versions: readonly string[]): string | undefined {
  const root = process.env.PYENV_ROOT ?? join(homedir(), '.pyenv')
  const candidates = versions.flatMap(version => [
    `python${version}`,
    ...globSync(join(root, 'versions', `${version}.*`, 'bin/python3')),
  ])
  return candidates.find(candidate => spawnSync(candidate, ['-c', 'import venv']).status === 0)
}

/** Installs an emulator, unless it is there. Returns why it cannot be had, or nothing. */
export function install(emulator: Emulator): string | undefined {
  const { name, version, pythons, packages, extensions } = emulator
  const folder = home(emulator)
  if (existsSync(join(folder, 'installed'))) return undefined
  const python = findPython(pythons)
  if (python === undefined) return `no Python ${pythons.join(' or ')}`
  rmSync(folder, { recursive: true, force: true })
  const lots = [
    [`${name}==${version}`, ...packages],
    // Apart from the rest: one emulator asks for a newer engine, for which nobody packs the extensions.
    [`duckdb==${DUCKDB}`, ...extensions.map(one => `duckdb-extension-${one}==${DUCKDB}`)],
  ]
  const problem = makeEnvironment(folder, python, lots, INSTALL_MS)
  if (problem !== undefined) return problem
  for (const extension of globSync(join(folder, 'lib/*/site-packages/duckdb_extension_*/extensions/*/*.duckdb_extension'))) {
    const kept = join(folder, '.duckdb/extensions', `v${DUCKDB}`, platformOf())
    mkdirSync(kept, { recursive: true })
    symlinkSync(extension, join(kept, extension.split('/').at(-1) ?? ''))
  }
  writeFileSync(join(folder, 'installed'), '')
  return undefined
}

/** This platform, as DuckDB names it. */
function platformOf(): string {
  return `${process.platform === 'darwin' ? 'osx' : process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`
}

/** An emulator that runs. */
export interface Running {
  readonly url: string
  close(): void
}

/** Starts an emulator that is installed, on ports of its own and with nothing in it. */
export async function start(emulator: Emulator): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-emulator-'))
  const ports = { rest: await freePort(), grpc: await freePort() }
  const child = spawn(join(home(emulator), 'bin', emulator.name), emulator.start(ports, folder), {
    // It looks for the extensions there.
    env: { ...process.env, HOME: home(emulator) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = `${said}${text}`.slice(-2_000)
  })
  const close = (): void => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  const url = `http://127.0.0.1:${ports.rest}`
  const deadline = Date.now() + START_MS
  while (!(await answers(url))) {
    if (child.exitCode === null && Date.now() < deadline) await sleep(200)
    else {
      close()
      throw new Error(`${emulator.name} does not start: ${said}`)
    }
  }
  return { url, close }
}

async function answers(url: string): Promise<boolean> {
  const asked = await fetch(`${url}/bigquery/v2/projects/p/datasets`, { signal: AbortSignal.timeout(10_000) }).catch(
    () => undefined,
  )
  return asked?.ok ?? false
}
