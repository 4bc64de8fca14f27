import { withoutCredentials } from '../errors.ts'
import type { AlertLedger, DueAlert } from '../ledger/alerts.ts'
import { type Finding, findingId } from './finding.ts'
import { findingLines } from './text.ts'
import type { Watch } from './watch.ts'

/** After this time somebody is told again of what lasts. */
const AGAIN_MS = 86_400_000

/** How long one delivery may take; and how long a process has to say that it was made, before another one takes it over. */
const DELIVERY_MS = 10_000
const CLAIM_MS = 60_000

/** Findings that are told in one message; further ones are counted. */
const MOST_TOLD = 20

/** Delivers one message; rejects when it was not taken. */
export type Deliver = (text: string) => Promise<void>

/** Posts messages as Slack takes them, `{ "text": ... }`, and whoever does as Slack does. What fails says nothing of the address, which is a secret. */
export function webhook(url: string): Deliver {
  return async text => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text }),
      redirect: 'error',
      signal: AbortSignal.timeout(DELIVERY_MS),
    }).catch((error: unknown) => {
      throw new Error(
        error instanceof Error && error.name === 'TimeoutError'
          ? `no answer within ${DELIVERY_MS / 1_000} s`
          : 'it cannot be reached',
      )
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`it answers ${response.status}`)
  }
}

/**
 * Tells of findings that wake somebody or make a ticket: once when one begins, again after a day, and once when it is over, whatever the number of processes. What
 * could not be delivered is due again a minute later, to whoever comes first; so a message may come twice, and none is lost. Returns how many were told. Rejects when the ledger or the
 * delivery fails.
 */
export async function tellFindings(
  { findings }: Pick<Watch, 'findings'>,
  ledger: AlertLedger,
  deliver: Deliver,
): Promise<number> {
  const urgent = findings.filter(({ level }) => level === 'page' || level === 'ticket')
  // A monitor that did not look has not said that anything is over.
  const complete = findings.every(({ monitor }) => monitor !== 'monitors')
  const alerts = urgent.map(finding => ({ id: findingId(finding), content: contentOf(finding) }))
  const due = await ledger.takeAlerts(alerts, { complete, againMs: AGAIN_MS, claimMs: CLAIM_MS })
  if (due.length === 0) return 0
  await deliver(messageOf(due))
  await ledger.alertsTold(due)
  return due.length
}

function contentOf(finding: Finding): string {
  return withoutCredentials(findingLines(finding).join('\n'))
}

const SAID = { new: '', lasting: 'still ', over: 'over: ' } as const

function messageOf(due: readonly DueAlert[]): string {
  const told = due
    .slice(0, MOST_TOLD)
    .map(({ state, content }) => SAID[state] + (state === 'over' ? content.split('\n', 1)[0] : content))
  const more = due.length > MOST_TOLD ? [`and ${due.length - MOST_TOLD} more: see \`headrace findings\``] : []
  return [...told, ...more].join('\n\n')
}
