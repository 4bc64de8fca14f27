import { describePipeline } from '../../lib/describe.ts'
import { jsonSchema, warehouseSchema } from '../../lib/table.ts'
import { output } from '../output.ts'
import { chosenPipelines, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace describe`: pipelines as documentation. */
export async function describe({
  config: file,
  json,
  pipeline: name,
}: CommonOptions & { readonly pipeline?: string }): Promise<void> {
  await withConfig(file, async config => {
    const pipelines = chosenPipelines(config, name)
    if (json) {
      output.json({
        command: 'describe',
        pipelines: pipelines.map(pipeline => ({
          name: pipeline.name,
          source: pipeline.source.name,
          table: pipeline.table.name,
          fields: warehouseSchema(pipeline.table),
          jsonSchema: jsonSchema(pipeline.table),
          map: pipeline.map,
          checks: pipeline.checks,
          totals: pipeline.totals,
          schedule: pipeline.schedule,
          after: pipeline.after,
        })),
      })
      return
    }
    for (const pipeline of pipelines) output.line(describePipeline(pipeline))
  })
}
