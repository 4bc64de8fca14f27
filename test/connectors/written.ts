import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Connector } from '../../lib/connector.ts'
import manifest from '../../package.json' with { type: 'json' }

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The connector that docs/connectors.md writes, as it stands there: loaded from a folder in which the package is taken for this repository. */
export async function writtenConnector(folder: string): Promise<Connector<unknown>> {
  const page = readFileSync(join(ROOT, 'docs/connectors.md'), 'utf8')
  const code = /^```ts complete\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
  const resolved = code.replace(/'headrace(\/\w+)?'/g, (_, name = '') => {
    const target = Object.entries(manifest.exports).find(([entry]) => entry === `.${name}`)?.[1] ?? name
    return JSON.stringify(pathToFileURL(join(ROOT, target.replace('./dist/', '').replace('.js', '.ts'))).href)
  })
  const file = join(folder, 'visits.ts')
  writeFileSync(file, resolved)
  const { visits } = (await import(pathToFileURL(file).href)) as { visits: Connector<unknown> }
  return visits
}
