import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { clients, overview, pipeline } from './data.ts'
import { apis, backfills, cost, engine } from './engine.ts'

/** The files of `grafana/dashboards`, by name. */
export function built(): Record<string, string> {
  const all = { overview, pipeline, clients, apis, cost, backfills, engine }
  return Object.fromEntries(
    Object.entries(all).map(([name, dashboard]) => [`${name}.json`, `${JSON.stringify(dashboard.build(), null, 2)}\n`]),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(built())) writeFileSync(new URL(`../dashboards/${file}`, import.meta.url), text)
}
