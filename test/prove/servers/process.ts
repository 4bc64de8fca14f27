import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Everything that the servers write; in memory where there is a place for that, because some of them flush every row. */
export const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'headrace-servers-'))
const children: ChildProcess[] = []

/** The path of a program, if it is installed. */
export function installed(program: string): string | undefined {
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  const found = places.map(place => join(place, program)).find(existsSync)
  if (found === undefined) console.log(`${program} is not installed: left out`)
  return found
}

/** Starts a server, and waits until it answers. */
export async function start(
  program: string,
  args: readonly string[],
  url: string,
  env: NodeJS.ProcessEnv = {},
): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...env } })
  children.push(child)
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer !== undefined && answer.status < 500) return child
    await delay(50)
  }
  throw new Error(`${program} does not answer at ${url}`)
}

/** Ends what was started, and removes what it wrote. */
export function stopAll(): void {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
