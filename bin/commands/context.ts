import { type Config, findPipeline, loadConfig } from '../../lib/config.ts'
import type { Pipeline } from '../../lib/index.ts'
import type { WarehouseCall } from '../../lib/warehouse/warehouse.ts'
import { output } from '../output.ts'

/** Loads a configuration unless told to stop before, and closes its ledger when the work is done. */
export async function withConfig<T>(
  file: string,
  work: (config: Config) => Promise<T>,
  signal: AbortSignal = patientCall.signal,
): Promise<T> {
  const config = await loadConfig(file, signal)
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

/** A call to the warehouse that nothing interrupts, warnings on standard error. */
export const patientCall: WarehouseCall = {
  signal: new AbortController().signal,
  warn: (name, message) => output.note(`${name}: ${message}`),
}
