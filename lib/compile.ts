import { createHash } from 'node:crypto'
import type { Pipeline } from './pipeline.ts'
import type { EncodeRow } from './row.ts'
import { compileMap, type MapPage } from './steps/map.ts'
import { compileValidate, type ValidatePage } from './steps/validate.ts'
import { warehouseSchema } from './table.ts'
import type { Warehouse } from './warehouse/warehouse.ts'

/** A pipeline, made ready once for any number of chunks. */
export interface CompiledPipeline {
  readonly pipeline: Pipeline
  readonly mapPage: MapPage
  readonly validatePage: ValidatePage
  readonly encodeRow: EncodeRow
  /** 16 hexadecimal digits over the declared table. */
  readonly schemaHash: string
  /** 16 hexadecimal digits over mapping, checks and totals; a custom function counts with its source. */
  readonly pipelineHash: string
}

/** Turns the declarations of a pipeline into the functions that its rows go through. */
export function compilePipeline(pipeline: Pipeline, warehouse: Pick<Warehouse, 'encoder'>): CompiledPipeline {
  const { table, map, checks, totals } = pipeline
  return {
    pipeline,
    mapPage: compileMap(pipeline),
    validatePage: compileValidate(table),
    encodeRow: warehouse.encoder(table),
    schemaHash: hash([table.name, warehouseSchema(table), table.partitionBy, table.clusterBy, table.key, table.columns]),
    pipelineHash: hash([map, checks, totals]),
  }
}

function hash(declaration: unknown): string {
  const text = JSON.stringify(declaration, (_, value: unknown) => (typeof value === 'function' ? String(value) : value))
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
