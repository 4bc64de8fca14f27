import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * Makes an environment of Python in a folder, and installs packages into it, one lot after the other; each step may take so many milliseconds. Returns why
 * it cannot be had, or nothing.
 */
export function makeEnvironment(
  folder: string,
  python: string,
  lots: readonly (readonly string[])[],
  stepMs: number,
): string | undefined {
  const pip = ['-m', 'pip', '--disable-pip-version-check', 'install', '--quiet', '--no-input']
  const steps: readonly (readonly [string, readonly string[]])[] = [
    [python, ['-m', 'venv', folder]],
    ...lots.map(lot => [join(folder, 'bin/python'), [...pip, ...lot]] as const),
  ]
  for (const [command, args] of steps) {
    const { error, status, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: stepMs })
    if (error !== undefined) return `not installed: ${error.message}`
    if (status !== 0) return `not installed: ${stderr.trim().split('\n').at(-1) ?? ''}`
  }
  return undefined
}
