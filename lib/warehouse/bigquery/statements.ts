import { addDays, type Window } from '../../chunk.ts'
import type { Table } from '../../table.ts'
import type { Member } from '../warehouse.ts'
import { identifier, tablePath } from './names.ts'
import type { Group } from './script.ts'

/** Rows that the message of a refusal names, at most; the members beyond them are found by the next try. */
const MOST_NAMED = 20

/** The row of the slices that every commit changes, so that two commits of one table can never both succeed unseen by each other. */
export const GUARD = { client: 'headrace guard', day: '0001-01-01' } as const

/** What the statements of one commit have in common. */
export interface Context extends Group {
  readonly target: string
  /** The day of the target `t`. */
  readonly day: string
  /** Where in the target `t` the group is. */
  readonly where: string
  /** What the target holds of the group, by client and day. */
  readonly counts: string
}

/** Limits a statement to the clients and days of the group. The days are literals, so that only their partitions are read and charged. */
export function scope(members: readonly Pick<Member, 'chunk'>[], day: string): string {
  const client = `${day.split('.')[0]}.client_id`
  const ranges = joined(members.map(({ chunk }) => chunk.window)).map(
    ({ from, to }) => `${day} BETWEEN DATE '${from}' AND DATE '${to}'`,
  )
  return `${client} IN UNNEST(@clients) AND ${ranges.length === 1 ? ranges[0] : `(${ranges.join(' OR ')})`}`
}

/** Counts and sums the rows of some clients and days of the target. */
export function countRows(
  { partitionBy }: Table,
  target: string,
  totals: readonly string[],
  members: readonly Pick<Member, 'chunk'>[],
): string {
  const day = `t.${identifier(partitionBy)}`
  const sums = totals.map((column, index) => `SUM(CAST(t.${identifier(column)} AS BIGNUMERIC)) AS total_${index}`)
  return (
    `SELECT t.client_id AS client_id, ${day} AS day, ${['COUNT(*) AS n', ...sums].join(', ')}\n` +
    `    FROM ${target} AS t WHERE ${scope(members, day)} GROUP BY client_id, day`
  )
}

/** Deletes all rows of some clients and days of the target. Only asked about, never run: what a commit deletes depends on more. */
export function deleteWhere({ partitionBy }: Table, target: string, members: readonly Pick<Member, 'chunk'>[]): string {
  return `DELETE FROM ${target} AS t WHERE ${scope(members, `t.${identifier(partitionBy)}`)}`
}

/** Windows joined where they touch or overlap, in order. */
function joined(windows: readonly Window[]): Window[] {
  const found: { from: string; to: string }[] = []
  for (const { from, to } of windows.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = found.at(-1)
    if (last === undefined || addDays(last.to, 1) < from) found.push({ from, to })
    else if (to > last.to) last.to = to
  }
  return found
}

/** The variables of the script. */
export function declarations(restated: boolean): string[] {
  return [
    'DECLARE v_bad, v_inserted, v_expected INT64;',
    'DECLARE v_detail STRING;',
    'DECLARE v_publish ARRAY<INT64>;',
    'DECLARE v_before ARRAY<STRUCT<member INT64, n INT64>>;',
    ...(restated ? ['DECLARE v_changes ARRAY<STRUCT<member INT64, day DATE, added INT64, removed INT64>>;'] : []),
  ]
}

/** A parameter that did not arrive must never turn into "delete nothing" or "expect nothing". */
export function guardParameters(members: number, days: number): string {
  return (
    `IF ARRAY_LENGTH(@members) IS DISTINCT FROM ${members} OR ARRAY_LENGTH(@days) IS DISTINCT FROM ${days}\n` +
    '    OR (SELECT COUNTIF(m.client_id IS NULL OR m.first IS NULL OR m.last IS NULL OR m.generation IS NULL\n' +
    '        OR m.client_id NOT IN UNNEST(@clients)) FROM UNNEST(@members) AS m) IS DISTINCT FROM 0\n' +
    '    OR (SELECT COUNTIF(d.member IS NULL OR d.day IS NULL OR d.n IS NULL) FROM UNNEST(@days) AS d) IS DISTINCT FROM 0 THEN\n' +
    "  RAISE USING MESSAGE = 'HR_PARAMETERS';\n" +
    'END IF;'
  )
}

/** Ends the script when the query finds rows, and names them by their columns. */
function refuseIf(reason: string, columns: readonly string[], query: string): string {
  return (
    'SET (v_bad, v_detail) = (\n' +
    `  SELECT AS STRUCT COUNT(*), TO_JSON_STRING(ARRAY_AGG(STRUCT(${columns.join(', ')}) ORDER BY member LIMIT ${MOST_NAMED}))\n` +
    `  FROM (\n    ${query}));\n` +
    'IF v_bad IS DISTINCT FROM 0 THEN\n' +
    `  RAISE USING MESSAGE = CONCAT('${reason} ', IFNULL(v_detail, '[]'));\n` +
    'END IF;'
  )
}

/** Refuses the members whose days a newer attempt has published. */
export function refuseFenced({ names, members }: Context): string {
  return refuseIf(
    'HR_FENCED',
    ['member', 'newer'],
    `SELECT m.member AS member, MAX(s.generation) AS newer FROM ${tablePath(names.slices)} AS s\n` +
      '    JOIN UNNEST(@members) AS m ON m.client_id = s.client_id\n' +
      `    WHERE ${scope(members, 's.day')} AND s.day BETWEEN m.first AND m.last AND s.generation > m.generation\n` +
      '    GROUP BY 1',
  )
}

/** Days whose rows or totals are not what the members expect. */
function diverged({ totals, counts }: Context, among: string): string {
  const wanted = totals.map((_, index) => `, d.total_${index} AS want_${index}, CAST(f.total_${index} AS STRING) AS got_${index}`)
  const sums = totals.map(
    (_, index) => ` OR (d.n > 0 AND CAST(d.total_${index} AS BIGNUMERIC) IS DISTINCT FROM f.total_${index})`,
  )
  return (
    `SELECT d.member AS member, d.day AS day, d.n AS want, IFNULL(f.n, 0) AS got${wanted.join('')}\n` +
    '    FROM UNNEST(@days) AS d LEFT JOIN (\n' +
    `    ${counts}) AS f ON f.client_id = d.client_id AND f.day = d.day\n` +
    `    WHERE d.member IN UNNEST(${among}) AND (d.n IS DISTINCT FROM IFNULL(f.n, 0)${sums.join('')})`
  )
}

/** Members that publish: those that ask for it, and those that only do when the table does not hold what they expect. */
export function choosePublishing(context: Context): string {
  const asked = "SET v_publish = ARRAY(SELECT m.member FROM UNNEST(@members) AS m WHERE m.intent = 'publish');"
  if (!context.members.some(({ intent }) => intent === 'confirm')) return asked
  return (
    "SET v_publish = ARRAY(SELECT m.member FROM UNNEST(@members) AS m WHERE m.intent = 'confirm');\n" +
    'SET v_publish = ARRAY(\n' +
    "  SELECT m.member FROM UNNEST(@members) AS m WHERE m.intent = 'publish' OR m.member IN (SELECT x.member FROM (\n" +
    `    ${diverged(context, 'v_publish')}) AS x));`
  )
}

/** Counts what the publishing members will replace. */
export function countBefore({ target, day, where }: Context): string {
  return (
    'SET v_before = ARRAY(\n' +
    `  SELECT AS STRUCT m.member AS member, COUNT(*) AS n FROM ${target} AS t JOIN UNNEST(@members) AS m ON m.client_id = t.client_id\n` +
    `  WHERE ${where} AND ${day} BETWEEN m.first AND m.last AND m.member IN UNNEST(v_publish)\n` +
    '  GROUP BY 1);'
  )
}

/** Rows of days that were published before, as text, counted against those that replace them: BigQuery has no EXCEPT ALL. */
export function compareRestated({ table, target, day, where, members, sources }: Context): string {
  const line = (alias: string): string =>
    `TO_JSON_STRING(STRUCT(${Object.keys(table.columns)
      .map(column => `${alias}.${identifier(column)}`)
      .join(', ')})) AS line`
  const staged = sources
    .filter(({ rows }, member) => rows !== undefined && (members[member]?.restated.length ?? 0) > 0)
    .map(
      ({ rows }) =>
        '      UNION ALL\n' +
        `      SELECT r.member AS member, r.day AS day, ${line('s')}, 1 AS n\n` +
        `      FROM ${rows} AS s JOIN UNNEST(@restated) AS r ON r.client_id = s.client_id AND r.day = s.${identifier(table.partitionBy)}\n`,
    )
  return (
    'SET v_changes = ARRAY(\n' +
    '  SELECT AS STRUCT member, day, SUM(GREATEST(n, 0)) AS added, SUM(GREATEST(-n, 0)) AS removed FROM (\n' +
    '    SELECT member, day, line, SUM(n) AS n FROM (\n' +
    `      SELECT r.member AS member, r.day AS day, ${line('t')}, -1 AS n\n` +
    `      FROM ${target} AS t JOIN UNNEST(@restated) AS r ON r.client_id = t.client_id AND r.day = ${day} WHERE ${where}\n` +
    `${staged.join('')}    ) GROUP BY 1, 2, 3)\n` +
    '  GROUP BY 1, 2);'
  )
}

/** Nothing is deleted where nothing is: a DELETE is charged with all of every day it touches. */
export function deleteRows({ target, day, where }: Context): string {
  return (
    'IF ARRAY_LENGTH(v_before) > 0 THEN\n' +
    `  DELETE FROM ${target} AS t WHERE ${where}\n` +
    '    AND EXISTS (SELECT 1 FROM UNNEST(@members) AS m WHERE m.client_id = t.client_id\n' +
    `      AND ${day} BETWEEN m.first AND m.last AND m.member IN UNNEST(v_publish));\n` +
    'END IF;'
  )
}

/** Inserts what is staged, in one statement. */
export function insertRows({ target, table, members, sources }: Context): string[] {
  const columns = Object.keys(table.columns).map(identifier).join(', ')
  const selects = sources.flatMap(({ rows }, member) => {
    const { intent } = members[member] ?? {}
    if (rows === undefined || intent === 'rejects') return []
    return [`SELECT ${columns} FROM ${rows} AS s${intent === 'confirm' ? ` WHERE ${member} IN UNNEST(v_publish)` : ''}`]
  })
  if (selects.length === 0) return []
  return [
    'SET v_inserted = 0;',
    'IF ARRAY_LENGTH(v_publish) > 0 THEN',
    `  INSERT INTO ${target} (${columns})\n  ${selects.join('\n  UNION ALL ')};`,
    '  SET v_inserted = @@row_count;',
    'END IF;',
    'SET v_expected = (SELECT IFNULL(SUM(d.n), 0) FROM UNNEST(@days) AS d WHERE d.member IN UNNEST(v_publish));',
  ]
}

/** Refuses the members whose days do not hold what was staged, then anything inserted beside them. */
export function refuseDiverged(context: Context): string {
  const found = context.totals.flatMap((_, index) => [`want_${index}`, `got_${index}`])
  return refuseIf('HR_COUNTS', ['member', 'day', 'want', 'got', ...found], diverged(context, 'v_publish'))
}

/** Refuses the group when other rows were inserted than those that its members named. */
export function refuseForeign({ sources }: Context): string[] {
  if (sources.every(({ rows }) => rows === undefined)) return []
  return [
    'IF v_inserted IS DISTINCT FROM v_expected THEN\n' +
      "  RAISE USING MESSAGE = FORMAT('HR_INSERTED %t rows inserted, %t expected', v_inserted, v_expected);\n" +
      'END IF;',
  ]
}

/** Refuses the members whose key is not unique, where the stream could not tell. */
export function refuseDuplicateKeys({ table, target, day, where }: Context): string {
  const key = table.key.map(column => {
    const text = `t.${identifier(column)}`
    return table.columns[column]?.type === 'JSON' ? `TO_JSON_STRING(${text})` : text
  })
  return refuseIf(
    'HR_KEYS',
    ['member', 'n'],
    'SELECT member, COUNT(*) AS n FROM (\n' +
      `      SELECT m.member AS member FROM ${target} AS t JOIN UNNEST(@members) AS m ON m.client_id = t.client_id\n` +
      `      WHERE ${where} AND ${day} BETWEEN m.first AND m.last AND m.check_key AND m.member IN UNNEST(v_publish)\n` +
      `      GROUP BY m.member, ${key.join(', ')} HAVING COUNT(*) > 1) GROUP BY 1`,
  )
}

/** Writes down which attempt every day now comes from, in one statement, and changes the guard with it. */
export function raiseFence({ names }: Context): string {
  return (
    'IF ARRAY_LENGTH(v_publish) > 0 THEN\n' +
    `  MERGE INTO ${tablePath(names.slices)} AS s USING (\n` +
    '    SELECT d.client_id AS client_id, d.day AS day, m.generation AS generation, m.attempt_id AS attempt_id, d.n AS n\n' +
    '    FROM UNNEST(@days) AS d JOIN UNNEST(@members) AS m ON m.member = d.member WHERE d.member IN UNNEST(v_publish)\n' +
    `    UNION ALL SELECT '${GUARD.client}', DATE '${GUARD.day}', 0, '', 0) AS d\n` +
    '  ON s.client_id = d.client_id AND s.day = d.day\n' +
    '  WHEN MATCHED THEN UPDATE SET generation = d.generation, attempt_id = d.attempt_id, `rows` = d.n, published_at = CURRENT_TIMESTAMP()\n' +
    '  WHEN NOT MATCHED THEN INSERT (client_id, day, generation, attempt_id, `rows`, published_at)\n' +
    '    VALUES (d.client_id, d.day, d.generation, d.attempt_id, d.n, CURRENT_TIMESTAMP());\n' +
    'END IF;'
  )
}

/** Replaces the rejects of every member, also of those that are unchanged: an attempt in between may have been held and have left its own. */
export function replaceRejects({ names, members, sources }: Context): string[] {
  const rejects = tablePath(names.rejects)
  const mine =
    `${scope(members, 'r.day')} AND EXISTS (SELECT 1 FROM UNNEST(@members) AS m\n` +
    '    WHERE m.client_id = r.client_id AND r.day BETWEEN m.first AND m.last)'
  const member = (index: number, column: string): string =>
    `(SELECT m.${column} FROM UNNEST(@members) AS m WHERE m.member = ${index})`
  const selects = sources.flatMap(({ rejects: staged }, index) =>
    staged === undefined
      ? []
      : [
          `SELECT ${member(index, 'client_id')}, r.day, r.column_name, r.rule, r.value, r.reason, r.record,\n` +
            `    ${member(index, 'attempt_id')}, ${member(index, 'intent')} = 'rejects', CURRENT_TIMESTAMP()\n  FROM ${staged} AS r`,
        ],
  )
  return [
    `SET v_bad = (SELECT COUNT(*) FROM ${rejects} AS r WHERE ${mine});`,
    `IF v_bad IS DISTINCT FROM 0 THEN\n  DELETE FROM ${rejects} AS r WHERE ${mine};\nEND IF;`,
    ...(selects.length === 0
      ? []
      : [
          `INSERT INTO ${rejects} (client_id, day, column_name, rule, value, reason, record, attempt_id, held, rejected_at)\n` +
            `  ${selects.join('\n  UNION ALL ')};`,
        ]),
  ]
}

/** What the commit did, read after it: for each member whether it published and what it deleted, for each day what is there and what changed. */
export function report({ totals, counts }: Context, restated: boolean): string {
  const none = totals.map((_, index) => `, CAST(NULL AS STRING) AS total_${index}`).join('')
  const sums = totals.map((_, index) => `, CAST(f.total_${index} AS STRING)`).join('')
  return (
    "SELECT 'member' AS kind, m.member AS member, CAST(NULL AS DATE) AS day,\n" +
    `  CASE WHEN m.member IN UNNEST(v_publish) THEN 1 ELSE 0 END AS a, IFNULL(b.n, 0) AS b${none}\n` +
    'FROM UNNEST(@members) AS m LEFT JOIN UNNEST(v_before) AS b ON b.member = m.member\n' +
    `UNION ALL SELECT 'present', m.member, f.day, f.n, 0${sums}\n` +
    'FROM UNNEST(@members) AS m JOIN (\n' +
    `    ${counts}) AS f ON f.client_id = m.client_id WHERE f.day BETWEEN m.first AND m.last` +
    (restated
      ? `\nUNION ALL SELECT 'change', c.member, c.day, c.added, c.removed${none.replaceAll(/ AS total_\d+/g, '')}\nFROM UNNEST(v_changes) AS c`
      : '')
  )
}
