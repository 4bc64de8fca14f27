import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Names a process so that others on the same host can tell whether it still lives: host, pid, when it started, and where pids mean the same. */
export function ownerOf(pid: number = process.pid): string {
  return `${hostname()} ${pid} ${startOf(pid) ?? '?'} ${PLACE}`
}

/** The host of a process with this name. */
export function hostOf(owner: string): string {
  return owner.split(' ')[0] ?? ''
}

/** This boot of the machine and this namespace of processes: hosts, and containers above all, may have the same name and other processes. */
const PLACE = placeOf()

function placeOf(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // Only Linux tells.
    return '?'
  }
}

/**
 * Whether the process with this name may still be alive. Certain only for processes of this host; anything else counts as alive, and its lease
 * has to run out.
 */
export function mayBeAlive(owner: string): boolean {
  const [host, pidText, start, place = PLACE] = owner.split(' ')
  const pid = Number(pidText)
  if (host !== hostname() || place !== PLACE || !Number.isInteger(pid)) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives and belongs to someone else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
  // The number may have been given to another process since.
  const now = startOf(pid)
  return now === undefined || start === '?' || now === start
}

/** When a process started, in the kernel's own ticks; one that ended and that nobody waits for has no start any more. Only Linux tells. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command, in parentheses, may hold anything; the state follows it, and the start time as the 20th field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : fields[19]
  } catch {
    return undefined
  }
}
