import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** What a finished command left behind. */
export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** The one JSON document on standard output; fails when there is anything else. */
  readonly json: () => unknown
}

/** A command under way. */
export interface Running {
  readonly process: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ran>
  /** Resolves when the text has appeared on either stream, so many times; rejects when the command ends without it. */
  said(text: string | RegExp, times?: number): Promise<string>
}

/** How a command is started. */
export interface Start {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `headrace` unless said otherwise. */
  readonly bin?: 'headrace' | 'backfill'
}

/** Compiled code is kept between the many starts of the same program. */
const CACHE = fileURLToPath(new URL('../../.tap/compile-cache', import.meta.url))

const bin = (name: string): string => fileURLToPath(new URL(`../../bin/${name}.ts`, import.meta.url))

/** Whether a command can be given a terminal here: with `script` of util-linux; that of other systems has other options. */
export const NO_TERMINAL: string | false =
  spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0
    ? false
    : 'there is no script(1) to give a terminal'

/** Starts the real binary on a terminal of 110 columns, where both streams are one; what is written to `stdin` is typed. */
export function startOnTerminal(args: readonly string[], cwd: string): Running {
  const words = args.map(arg => `'${arg}'`).join(' ')
  return follow(
    spawn('script', ['-qec', `stty cols 110 && exec "$NODE" "$BIN" ${words}`, '/dev/null'], {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE: process.execPath, BIN: bin('headrace'), NODE_OPTIONS: '', NODE_COMPILE_CACHE: CACHE },
    }),
  )
}

/** Starts the real binary as a process of its own. */
export function start(args: readonly string[], { cwd, env = {}, bin: name = 'headrace' }: Start = {}): Running {
  return follow(
    spawn(process.execPath, [bin(name), ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, HEADRACE_CONFIG: undefined, NODE_OPTIONS: '', NODE_COMPILE_CACHE: CACHE, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    }),
  )
}

function follow(child: ChildProcessWithoutNullStreams): Running {
  let stdout = ''
  let stderr = ''
  const listeners = new Set<() => void>()
  const tell = (): void => {
    for (const listener of listeners) listener()
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    tell()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    tell()
  })
  const ended = once(child, 'close').then(([code, signal]): Ran => {
    tell()
    return { code, signal, stdout, stderr, json: () => onlyDocument(stdout) }
  })
  return {
    process: child,
    ended,
    async said(text, times = 1) {
      const found = (): string | undefined => {
        const all = `${stdout}${stderr}`
        if (typeof text === 'string') return all.split(text).length > times ? text : undefined
        return [...all.matchAll(new RegExp(text, `${text.flags}g`))][times - 1]?.[0]
      }
      const seen = new Promise<string>(resolve => {
        const listener = (): void => {
          const there = found()
          if (there === undefined) return
          listeners.delete(listener)
          resolve(there)
        }
        listeners.add(listener)
        listener()
      })
      const over = ended.then(ran => {
        const there = found()
        if (there !== undefined) return there
        throw new Error(`it ended with ${ran.code} and never said ${text}\n${ran.stdout}\n${ran.stderr}`)
      })
      return Promise.race([seen, over])
    },
  }
}

/** Commands that run at the same time, at most: each is a process with a database in it. */
const AT_ONCE = 4
let underWay = 0
const waiting: (() => void)[] = []

/** Runs the real binary to its end. */
export async function run(args: readonly string[], options: Start = {}): Promise<Ran> {
  while (underWay >= AT_ONCE) await new Promise<void>(resolve => waiting.push(resolve))
  underWay++
  try {
    return await start(args, options).ended
  } finally {
    underWay--
    waiting.shift()?.()
  }
}

/** Runs a line of bash, where `$NODE "$BIN"` is headrace. */
export async function spawned(script: string, cwd: string): Promise<Omit<Ran, 'json'>> {
  const child = spawn('bash', ['-c', script], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE: process.execPath, BIN: bin('headrace'), NODE_OPTIONS: '', NODE_COMPILE_CACHE: CACHE },
  })
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, signal, stdout, stderr }
}

function onlyDocument(stdout: string): unknown {
  const lines = stdout.split('\n')
  if (lines.length !== 2 || lines[1] !== '') throw new Error(`not one line on standard output:\n${stdout}`)
  return JSON.parse(lines[0] ?? '')
}
