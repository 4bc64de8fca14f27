import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { Test } from 'tap'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import type { Clock, LedgerHost } from '../../lib/testing/ledger-case.ts'

export * from '../../lib/testing/ledger-case.ts'

/** A temporary folder that is gone after the test. */
export function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'headrace-test-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A ledger in a fresh file (or in the one given), on a clock of its own. */
export function fresh(
  t: Test,
  options: { path?: string; owner?: string; clock?: Clock } = {},
): { ledger: Ledger; path: string; clock: Clock } {
  const path = options.path ?? join(folder(t), 'ledger.sqlite')
  const clock = options.clock ?? { now: 1_700_000_000_000 }
  const ledger = sqlite({ path, now: () => clock.now, ...(options.owner === undefined ? {} : { owner: options.owner }) })
  t.teardown(() => ledger.close())
  return { ledger, path, clock }
}

/** An empty ledger in a file, for the kit that says what every ledger must do. */
export async function host(t: Test, now = 1_700_000_000_000): Promise<LedgerHost> {
  const { ledger, path, clock } = fresh(t, { clock: { now } })
  return {
    ledger,
    clock,
    another: owner => fresh(t, { path, clock, owner }).ledger,
    sql: async (text, ...values) =>
      sql(path, text, ...values).map(row =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)])),
      ),
    close: () => ledger.close(),
  }
}

/** Asks the file itself, beside the ledger. */
export function sql(path: string, text: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
  const database = new DatabaseSync(path)
  try {
    return database.prepare(text).all(...values)
  } finally {
    database.close()
  }
}

/** The script beside this file, run by another process that talks in lines. */
export function child(
  t: Test,
  ...args: readonly string[]
): { readonly process: ChildProcess; readonly lines: AsyncIterator<string>; readonly ended: Promise<string> } {
  const spawned = spawn(process.execPath, [join(import.meta.dirname, 'child.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => spawned.kill('SIGKILL'))
  const lines = createInterface({ input: spawned.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<string>(resolve => spawned.once('exit', (code, signal) => resolve(signal ?? String(code))))
  return { process: spawned, lines, ended }
}
