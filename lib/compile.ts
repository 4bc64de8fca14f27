import { createHash } from 'node:crypto'
import type { AnyExpr, Pipeline } from './pipeline.ts'
import type { EncodeRow } from './row.ts'
import { compileColumn, compileMap, type MapPage, type ReadColumn } from './steps/map.ts'
import { compileValidate, type ValidatePage } from './steps/validate.ts'
import { type Column, warehouseSchema } from './table.ts'
import type { Warehouse } from './warehouse/warehouse.ts'

/** A column that the source states a total of. */
export interface SourceColumn {
  readonly name: string
  /** Reads what the source states. */
  readonly stated: ReadColumn
  /** Reads what one record adds to it. */
  readonly ofRecord: ReadColumn
  /** Reads what one row adds to it. */
  readonly ofRow: ReadColumn
}

/** A pipeline, made ready once for any number of chunks. */
export interface CompiledPipeline {
  readonly pipeline: Pipeline
  readonly mapPage: MapPage
  readonly validatePage: ValidatePage
  readonly encodeRow: EncodeRow
  readonly sourceColumns: readonly SourceColumn[]
  /** 16 hexadecimal digits over the declared table. */
  readonly schemaHash: string
  /** 16 hexadecimal digits over mapping, checks and totals, those of the source too; a custom function counts with its source. */
  readonly pipelineHash: string
}

/** Turns the declarations of a pipeline into the functions that its rows go through. */
export function compilePipeline(pipeline: Pipeline, warehouse: Pick<Warehouse, 'encoder'>): CompiledPipeline {
  const { table, map, checks, totals, sourceTotals } = pipeline
  return {
    pipeline,
    mapPage: compileMap(pipeline),
    validatePage: compileValidate(table),
    encodeRow: warehouse.encoder(table),
    sourceColumns: Object.entries(sourceTotals).map(([name, stated]) => sourceColumn(pipeline, name, stated)),
    schemaHash: hash([table.name, warehouseSchema(table), table.partitionBy, table.clusterBy, table.key, table.columns]),
    pipelineHash: hash([map, checks, totals, sourceTotals]),
  }
}

function sourceColumn({ table, map }: Pipeline, name: string, stated: AnyExpr): SourceColumn {
  const read = (expr: AnyExpr): ReadColumn => compileColumn(name, table.columns[name] as Column, expr)
  const { type } = stated
  const ofRow: AnyExpr = { operation: type === 'INT64' ? 'integer' : 'decimal', path: name, type, nullable: false }
  return { name, stated: read(stated), ofRecord: read(map[name] as AnyExpr), ofRow: read(ofRow) }
}

function hash(declaration: unknown): string {
  const text = JSON.stringify(declaration, (_, value: unknown) => (typeof value === 'function' ? String(value) : value))
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
