import type { Table } from '../../table.ts'
import type { Member } from '../warehouse.ts'
import { identifier, type TableNames, tablePath } from './names.ts'
import { type QueryParameter, structs, texts } from './parameters.ts'
import {
  type Context,
  choosePublishing,
  compareRestated,
  countBefore,
  countRows,
  declarations,
  deleteRows,
  guardParameters,
  insertRows,
  raiseFence,
  refuseDiverged,
  refuseDuplicateKeys,
  refuseFenced,
  refuseForeign,
  replaceRejects,
  report,
  scope,
} from './statements.ts'

/** A script with what it is run with. */
export interface Script {
  readonly sql: string
  readonly parameters: readonly QueryParameter[]
}

/** Where the rows and rejects of a staged member can be read, as the text of a FROM clause; absent where there are none. */
export interface StagedSource {
  readonly rows: string | undefined
  readonly rejects: string | undefined
}

/** What a commit works on. */
export interface Group {
  readonly table: Table
  readonly names: TableNames
  readonly totals: readonly string[]
  readonly members: readonly Member[]
  /** In the order of the members. */
  readonly sources: readonly StagedSource[]
}

/**
 * The transaction that publishes a group, with its checks. There is no EXCEPTION block: an error ends the script, and BigQuery rolls back.
 * Comparisons are IS DISTINCT FROM, because one with NULL would pass silently.
 */
export function commitScript(group: Group): Script {
  const { members, totals, names, table } = group
  const target = tablePath(names.target)
  const day = `t.${identifier(table.partitionBy)}`
  const where = scope(members, day)
  const counts = countRows(table, target, totals, members)
  const context: Context = { ...group, target, day, where, counts }
  const restated = members.flatMap(({ chunk, restated: days }, member) =>
    days.map(restatedDay => ({ member, client_id: chunk.client, day: restatedDay })),
  )
  const days = members.flatMap(({ chunk, days: summaries }, member) =>
    summaries.map(({ day: summaryDay, rows, totals: expected }) => ({
      member,
      client_id: chunk.client,
      day: summaryDay,
      n: rows,
      ...Object.fromEntries(totals.map((column, index) => [`total_${index}`, expected[column] ?? '0'])),
    })),
  )
  const totalTypes = Object.fromEntries(totals.map((_, index) => [`total_${index}`, 'STRING'] as const))
  const sql = [
    ...declarations(restated.length > 0),
    guardParameters(members.length, days.length),
    'BEGIN TRANSACTION;',
    refuseFenced(context),
    choosePublishing(context),
    countBefore(context),
    ...(restated.length > 0 ? [compareRestated(context)] : []),
    deleteRows(context),
    ...insertRows(context),
    refuseDiverged(context),
    ...refuseForeign(context),
    ...(members.some(({ checkKey }) => checkKey) ? [refuseDuplicateKeys(context)] : []),
    ...(members.some(({ intent }) => intent !== 'rejects') ? [raiseFence(context)] : []),
    ...replaceRejects(context),
    'COMMIT TRANSACTION;',
    `${report(context, restated.length > 0)};`,
  ].join('\n')
  return {
    sql,
    parameters: [
      texts('clients', [...new Set(members.map(({ chunk }) => chunk.client))]),
      structs('members', MEMBER_FIELDS, members.map(memberParameter)),
      structs('days', { member: 'INT64', client_id: 'STRING', day: 'DATE', n: 'INT64', ...totalTypes }, days),
      ...(restated.length > 0 ? [structs('restated', { member: 'INT64', client_id: 'STRING', day: 'DATE' }, restated)] : []),
    ],
  }
}

const MEMBER_FIELDS = {
  member: 'INT64',
  client_id: 'STRING',
  attempt_id: 'STRING',
  first: 'DATE',
  last: 'DATE',
  generation: 'INT64',
  intent: 'STRING',
  check_key: 'BOOL',
} as const

function memberParameter({ chunk, attemptId, generation, intent, checkKey }: Member, member: number) {
  return {
    member,
    client_id: chunk.client,
    attempt_id: attemptId,
    first: chunk.window.from,
    last: chunk.window.to,
    generation,
    intent,
    check_key: checkKey,
  }
}
