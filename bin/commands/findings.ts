import { resolveClients } from '../../lib/config.ts'
import { findingJson, findingLines } from '../../lib/monitor/text.ts'
import { watch } from '../../lib/monitor/watch.ts'
import { GRANT_KEY } from '../../lib/oauth/seal.ts'
import { output, plural } from '../output.ts'
import { chosenPipelines, patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace findings`: what is wrong with the data now. Ends with 1 when anything is but what is only to be reported. */
export async function findings(options: CommonOptions & { readonly pipeline?: string }): Promise<void> {
  await withConfig(options.config, async config => {
    const pipelines = chosenPipelines(config, options.pipeline)
    const clients = await resolveClients(config, undefined, patientCall.signal)
    const grantKey = process.env[GRANT_KEY]
    const found = await watch({ config: { ...config, pipelines }, clients, grantKey, now: Date.now() })
    if (found.findings.some(({ level }) => level !== 'report')) process.exitCode = 1
    if (options.json) {
      output.json({ command: 'findings', findings: found.findings.map(findingJson) })
      return
    }
    const [one, many] = [plural(clients.length, 'client'), plural(pipelines.length, 'pipeline')]
    output.line(`${plural(found.findings.length, 'finding')} in ${many} of ${one}`)
    for (const finding of found.findings) {
      const [first = '', ...others] = findingLines(finding)
      for (const line of ['', first, ...others.map(line => `  ${line}`)]) output.line(line)
    }
  })
}
