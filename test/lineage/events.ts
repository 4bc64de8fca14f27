import { existsSync, readFileSync } from 'node:fs'
import type { RunEvent } from '../../lib/lineage/events.ts'

/** The events in a file. */
export function eventsIn(file: string): RunEvent[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.filter(line => line !== '').map((line): RunEvent => JSON.parse(line))
}

/** Attempts in the order in which they began, each with the types of its events. */
export function attemptsIn(events: readonly RunEvent[]): string[] {
  return [...Map.groupBy(events, ({ run }) => run.runId).values()].map(of => of.map(({ eventType }) => eventType).join(' '))
}
