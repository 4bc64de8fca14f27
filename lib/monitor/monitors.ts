import { appeared, vanished } from './clients.ts'
import { distribution, nulls, range } from './columns.ts'
import type { Finding, MonitorName } from './finding.ts'
import { lookback, restated } from './restatement.ts'
import { cost, fields, held, newFields, quota, rejects } from './standing.ts'
import { empty, repeated } from './standstill.ts'
import { completeness, freshness, landing } from './timeliness.ts'
import { sourceTotals, totals } from './totals.ts'
import { volume } from './volume.ts'
import type { Watched } from './watched.ts'

/** A monitor: what is wrong with a pipeline, by what the ledger holds of it. */
export type Monitor = (watched: Watched) => Finding[]

/** The monitors of one pipeline. Grants are shared by pipelines, and have a monitor of their own. */
export const PIPELINE_MONITORS = {
  held,
  freshness,
  completeness,
  landing,
  volume,
  empty,
  repeated,
  totals,
  source_totals: sourceTotals,
  nulls,
  range,
  distribution,
  fields,
  new_fields: newFields,
  rejects,
  appeared,
  vanished,
  restated,
  lookback,
  quota,
  cost,
} as const satisfies Readonly<Partial<Record<MonitorName, Monitor>>>
