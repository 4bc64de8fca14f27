import type { ClientBase } from 'pg'
import { ConfigError } from '../errors.ts'
import { unusable } from './postgres-failure.ts'
import { MIGRATIONS } from './sql/schema.ts'

/** A schema of PostgreSQL that holds one ledger. */
export interface LedgerSchema {
  /** The database, as errors name it. */
  readonly name: string
  readonly schema: string
  /** Statement that waits for everybody who writes this ledger. */
  readonly lock: string
}

/** The types of PostgreSQL. Texts are ordered by their bytes, as in SQLite, whatever the language of the database. */
const TYPES: Readonly<Record<string, string>> = { INTEGER: 'BIGINT', REAL: 'DOUBLE PRECISION', TEXT: 'TEXT COLLATE "C"' }

/**
 * What only PostgreSQL needs. `schema_version` counts the steps that were done. `writer` remembers the last transaction of each process, so that one whose
 * COMMIT was not answered is known to have happened or not.
 */
const OWN_TABLES = `
  CREATE TABLE schema_version (version BIGINT NOT NULL);
  INSERT INTO schema_version VALUES (0);
  CREATE TABLE writer (id TEXT PRIMARY KEY, last TEXT NOT NULL, at TIMESTAMPTZ NOT NULL);
`

/** Brings the tables to the version this headrace knows; of any number of processes one does it, and the others wait. */
export async function migrate(client: ClientBase, ledger: LedgerSchema): Promise<void> {
  if ((await versionOf(client, ledger)) === MIGRATIONS.length) return
  await client.query('BEGIN')
  try {
    await client.query(ledger.lock)
    const version = await versionOf(client, ledger)
    if (version === undefined) await create(client, ledger)
    for (const step of MIGRATIONS.slice(version ?? 0))
      await client.query(step.replace(/\b(?:INTEGER|REAL|TEXT)\b/g, type => TYPES[type] ?? type))
    await client.query('UPDATE schema_version SET version = $1', [MIGRATIONS.length])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  }
}

/** How many steps were done; undefined when there is no ledger. */
async function versionOf(client: ClientBase, { name, schema }: LedgerSchema): Promise<number | undefined> {
  if (!(await tablesOf(client, schema)).includes('schema_version')) return undefined
  const version = Number((await client.query('SELECT version FROM schema_version')).rows[0]?.version)
  if (version <= MIGRATIONS.length) return version
  throw new ConfigError('LEDGER_UNUSABLE', {
    message: `the ledger ${name} is of version ${version}, this headrace knows ${MIGRATIONS.length}`,
    hint: 'A newer headrace has written it. Use that one; nothing was changed.',
  })
}

/** Makes the schema, unless somebody else uses it, and an empty ledger in it. */
async function create(client: ClientBase, { name, schema }: LedgerSchema): Promise<void> {
  const namespace = await client.query('SELECT oid FROM pg_namespace WHERE nspname = $1', [schema])
  if (namespace.rows.length === 0) await client.query(`CREATE SCHEMA ${schema}`)
  const others = await tablesOf(client, schema)
  if (others.length > 0) throw unusable(name, `cannot be made: the schema ${schema} holds tables of another program`)
  await client.query(OWN_TABLES)
}

/** Asked of the catalogue itself: `to_regclass()` may answer from what this connection knew before it waited for the lock. */
async function tablesOf(client: ClientBase, schema: string): Promise<string[]> {
  const sql = 'SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1'
  return (await client.query(sql, [schema])).rows.map(({ name }) => String(name))
}
