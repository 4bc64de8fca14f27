import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import t from 'tap'
import { built } from '../grafana/src/build.ts'
import { createMetrics } from '../lib/metrics.ts'

// What `promtool` cannot see: that the metrics exist, that every alert has a test and a runbook. `.ci/run` has promtool judge the rules themselves.

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const rules = read('grafana/alerts/headrace.rules.yml')
const alerts = [...new Set([...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name))]

/** Names of time series that a metric of this process has. */
function series(): Set<string> {
  const registry = new Registry()
  createMetrics(registry)
  const names = registry
    .getMetricsAsArray()
    .flatMap(({ name, type }) =>
      String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`, name] : [name],
    )
  return new Set(names)
}

interface PanelJson {
  readonly title: string
  readonly type: string
  readonly description?: string
  readonly fieldConfig?: { readonly defaults?: { readonly unit?: string } }
}

/** All panels that show something. */
function panels(): PanelJson[] {
  const dashboards = Object.values(built()).map((text): { readonly panels: readonly PanelJson[] } => JSON.parse(text))
  return dashboards.flatMap(dashboard => dashboard.panels.filter(({ type }) => type !== 'row'))
}

t.test('every metric that rules, their tests or dashboards name exists', async t => {
  const exist = series()
  for (const file of globSync('grafana/**/*.{yml,json}', { cwd: ROOT })) {
    // What recording rules write has its level before the name, and what it is after it. Backfills push as a job of a like name.
    const named = read(file).matchAll(/(?<![\w:-]|job=\\?"|job: )headrace_[a-z0-9_]+(?!\w)/g)
    for (const [name] of named) t.ok(exist.has(name), `${file}: ${name}`)
  }
})

t.test('every recorded series that is read is recorded', async t => {
  const recorded = [...rules.matchAll(/record: (\S+)/g)].map(([, name]) => name)
  for (const file of globSync('grafana/**/*.{yml,json}', { cwd: ROOT })) {
    for (const [name] of read(file).matchAll(/(?:pipeline|api):headrace_\w+:\w+/g))
      t.ok(recorded.includes(name), `${file}: ${name}`)
  }
})

t.test('committed dashboards are what their sources build: npm run grafana', async t => {
  const committed = globSync('*.json', { cwd: join(ROOT, 'grafana/dashboards') })
  t.strictSame(committed.toSorted(), Object.keys(built()).toSorted())
  for (const [file, text] of Object.entries(built())) t.equal(read(`grafana/dashboards/${file}`), text, file)
})

t.test('every panel says in words what it shows and in which unit, and links to runbooks that exist', async t => {
  const links = [
    ...Object.values(built())
      .join('')
      .matchAll(/runbooks\.md#(\w+)/g),
  ].map(([, hash = '']) => hash)
  t.ok(links.length > 10)
  for (const link of links)
    t.ok(
      alerts.some(alert => alert.toLowerCase() === link),
      link,
    )
  for (const { title, description, fieldConfig } of panels()) {
    t.ok((description?.length ?? 0) > 10, title)
    t.ok(fieldConfig?.defaults?.unit, title)
  }
})

t.test('every alert has a severity, a summary, a runbook and a test, and no runbook is without its alert', async t => {
  const tests = read('grafana/alerts/headrace.test.yml')
  for (const block of rules.split(/(?=- alert: )/).slice(1)) {
    const [, alert = ''] = /^- alert: (\w+)/.exec(block) ?? []
    t.match(block, /labels: \{ severity: (page|ticket|none) \}/, alert)
    t.match(block, /summary: ["'].+["']/, alert)
    t.ok(block.includes(`runbook_url: docs/runbooks.md#${alert.toLowerCase()}\n`), alert)
    t.ok(tests.includes(`alertname: ${alert}\n`), `${alert} is tested to fire`)
  }
  const runbooks = [...read('docs/runbooks.md').matchAll(/^## (\w+)$/gm)].map(([, name = '']) => name)
  t.strictSame(runbooks.toSorted(), alerts.toSorted())
  for (const part of read('docs/runbooks.md').split(/^## /m).slice(1)) {
    const said = [...part.matchAll(/^- \*\*([\w ]+)\*\*/gm)].map(([, word]) => word)
    t.strictSame(said, ['Means', 'How bad', 'Look at', 'Do', 'Safe'], part.slice(0, 30))
  }
})
