import { type Config, findPipeline, loadConfig } from '../../lib/config.ts'
import type { Pipeline } from '../../lib/index.ts'
import type { WarehouseCall } from '../../lib/warehouse/warehouse.ts'
import { output } from '../output.ts'

/** Loads a configuration, and closes its ledger when the work is done. */
export async function withConfig<T>(file: string, work: (config: Config) => Promise<T>): Promise<T> {
  const config = await loadConfig(file)
  try {
    return await work(config)
  } finally {
    await config.ledger.close()
  }
}

/** The pipelines a command is about: the one that is named, or all. */
export function chosenPipelines(config: Config, name: string | undefined): readonly Pipeline[] {
  return name === undefined ? config.pipelines : [findPipeline(config, name)]
}

/** The pipeline a command is about: the one that is named, or the only one there is. */
export function onePipeline(config: Config, name: string | undefined): Pipeline {
  const [only] = config.pipelines
  return name === undefined && config.pipelines.length === 1 && only !== undefined ? only : findPipeline(config, name ?? '')
}

/** A call to the warehouse that nothing interrupts, warnings on standard error. */
export const patientCall: WarehouseCall = {
  signal: new AbortController().signal,
  warn: (name, message) => output.note(`${name}: ${message}`),
}
