import { chunkText, daysOf } from '../../chunk.ts'
import { DataError, type HeadraceError, TransientError } from '../../errors.ts'
import type { Table } from '../../table.ts'
import { GroupRefused, type Member } from '../warehouse.ts'
import { ServiceError } from './failure.ts'

/** What the script says of one member, by column of its query. */
type Finding = Readonly<Record<string, unknown>>

/**
 * What a check of the script, or a staged table that is gone, says about members of the group; nothing for any other error. The text around
 * the message is BigQuery's own, and where it is cut off nobody promises.
 */
export function refusal(table: Table, totals: readonly string[], members: readonly Member[], error: unknown): Error | undefined {
  if (!(error instanceof ServiceError)) return undefined
  if (error.missing) return refuse(members, member => lostError(member, error))
  const [, reason, found = ''] = /\bHR_([A-Z]+)(.*)/s.exec(error.message) ?? []
  if (reason === undefined) return undefined
  const findings = Map.groupBy(findingsOf(found), ({ member }) => Number(member))
  const named = new Set([...found.matchAll(/"member":"?(\d+)/g)].map(([, index]) => Number(index)))
  return (
    refuse(members, (member, index) =>
      named.has(index) ? REFUSALS[reason]?.(member, findings.get(index) ?? [], { table, totals }) : undefined,
    ) ??
    new DataError('COUNT_DIVERGED', {
      message: `${table.name}: ${error.message}`,
      hint: 'Rolled back: the table is as it was. This is a defect of headrace or of what was staged; please report it.',
      cause: error,
    })
  )
}

function refuse(
  members: readonly Member[],
  reason: (member: Member, index: number) => HeadraceError | undefined,
): GroupRefused | undefined {
  const refused = new Map<string, HeadraceError>()
  for (const [index, member] of members.entries()) {
    const error = reason(member, index)
    if (error !== undefined) refused.set(member.attemptId, error)
  }
  return refused.size === 0 ? undefined : new GroupRefused(refused)
}

/** The findings of a message, unless it was cut. */
function findingsOf(text: string): Finding[] {
  const list = /\[\{.*\}\]/s.exec(text)?.[0]
  try {
    const findings: unknown = JSON.parse(list ?? '[]')
    return Array.isArray(findings) ? findings : []
  } catch {
    return []
  }
}

type Refuse = (
  member: Member,
  findings: readonly Finding[],
  about: { readonly table: Table; readonly totals: readonly string[] },
) => HeadraceError

const REFUSALS: Readonly<Record<string, Refuse>> = {
  FENCED: ({ chunk, attemptId, generation }, [finding]) =>
    new TransientError('FENCED', {
      message: `${chunkText(chunk)}: attempt ${attemptId} is of generation ${generation}, the table holds ${finding?.newer ?? 'a newer one'}`,
      hint: 'A newer attempt published these days while this one was stalled. Nothing was overwritten.',
    }),
  COUNTS: ({ chunk }, findings, { totals }) => {
    const clauses = findings.flatMap(finding => clausesOf(finding, totals))
    const more = clauses.length > 5 ? ` and ${clauses.length - 5} more of ${daysOf(chunk.window).length} days` : ''
    const text = clauses.length === 0 ? 'other rows than those staged' : `${clauses.slice(0, 5).join('; ')}${more}`
    return new DataError('COUNT_DIVERGED', {
      message: `${chunkText(chunk)}: ${text}`,
      hint: 'Rolled back: the table is as it was. Nobody else should write to it; if nobody does, please report this.',
    })
  },
  KEYS: ({ chunk }, [finding], { table }) =>
    new DataError('KEY_DUPLICATED', {
      message: `${chunkText(chunk)}: ${finding?.n ?? 'some'} keys (${table.key.join(', ')}) occur more than once`,
      hint: 'Nothing was published. The chunk is too large to drop repeated rows on the way: use shorter windows, or a finer key.',
    }),
}

function clausesOf(finding: Finding, totals: readonly string[]): string[] {
  const { day, want, got } = finding
  if (Number(want) !== Number(got)) return [`${day}: ${want} rows expected, ${got} found`]
  return totals.flatMap((column, index) => {
    const [wanted, found] = [finding[`want_${index}`], finding[`got_${index}`]]
    return Number(wanted) === Number(found) ? [] : [`${day}: sum of ${column} ${wanted} expected, ${found} found`]
  })
}

function lostError({ chunk, attemptId }: Member, error: ServiceError): HeadraceError | undefined {
  if (!error.message.includes(attemptId.replaceAll('-', '_'))) return undefined
  return new TransientError('WAREHOUSE_FAILED', {
    message: `${chunkText(chunk)}: what was staged is gone: ${error.message}`,
    hint: 'Nothing of this chunk was published; it is read again. Staged tables expire after a day.',
    cause: error,
  })
}
