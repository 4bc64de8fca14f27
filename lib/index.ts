export { type BackfillRequest, type BackfillResult, backfill } from './backfill.ts'
export type { Chunk, Day, Window } from './chunk.ts'
export { type Client, type ClientEntry, type Config, type ConfigOptions, defineConfig } from './config.ts'
export { type Connector, defineConnector, type Page, type PageRequest } from './connector.ts'
export { describePipeline } from './describe.ts'
export type { WorkerHost } from './engine/worker.ts'
export {
  ConfigError,
  DataError,
  ERRORS,
  type ErrorCode,
  HeadraceError,
  RULES,
  type Rule,
  TransientError,
  WARNINGS,
  type WarningName,
} from './errors.ts'
export type { Observer, RunEvent } from './events.ts'
export type { Authorization, Authorize, Http, JsonAnswer, JsonRequest } from './http/client.ts'
export { ledger } from './ledger/environment.ts'
export type { Ledger } from './ledger/ledger.ts'
export { type PostgresOptions, postgres } from './ledger/postgres.ts'
export { type SqliteOptions, sqlite } from './ledger/sqlite.ts'
export type { LineageTarget } from './lineage/lineage.ts'
export { createLog, type Log, type LogLevel } from './log.ts'
export { clientCredentials, type OAuth, refreshToken, serviceAccount } from './oauth/oauth.ts'
export { OPTIONS, type Options } from './options.ts'
export { type Checks, definePipeline, type Pipeline, type PipelineOptions, type Upstream } from './pipeline.ts'
export type { Schedule } from './plan/schedule.ts'
export { bigquery } from './warehouse/bigquery/bigquery.ts'
export type { BigQueryOptions } from './warehouse/bigquery/options.ts'
export { type DuckDBOptions, duckdb } from './warehouse/duckdb/duckdb.ts'
export type { Warehouse } from './warehouse/warehouse.ts'
