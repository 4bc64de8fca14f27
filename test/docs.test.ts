import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Command } from 'commander'
import { Registry } from 'prom-client'
import t from 'tap'
import { program } from '../bin/program.ts'
import { OUTCOMES } from '../lib/attempt/telemetry.ts'
import { ERRORS, RULES, WARNINGS } from '../lib/errors.ts'
import { createMetrics } from '../lib/metrics.ts'
import { MONITORS } from '../lib/monitor/finding.ts'
import { THRESHOLDS } from '../lib/monitor/thresholds.ts'
import { OPTIONS } from '../lib/options.ts'
import { SPANS } from '../lib/trace.ts'
import manifest from '../package.json' with { type: 'json' }

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DOCS = ['README.md', 'CHANGELOG.md', 'examples/README.md', 'grafana/README.md', ...files('docs/*.md')]
const run = promisify(execFile)

function files(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT }).sort()
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** The text without its blocks of code, where a `#` is no heading. */
function prose(markdown: string): string {
  return markdown.replace(/^```.*?^```$/gms, '')
}

/** What stands under a heading of the second level. */
function section(file: string, heading: string): string {
  const found = prose(read(file))
    .split(/^## /m)
    .find(part => part.startsWith(`${heading}\n`))
  if (found === undefined) throw new Error(`${file} has no section ${heading}`)
  return found
}

/** The rows of the tables in a text, headings left out, cells without their backticks. */
function tableRows(markdown: string): string[][] {
  const tables = [...markdown.matchAll(/^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n?)*)/gm)]
  const lines = tables.flatMap(([, body = '']) => body.split('\n').filter(line => line !== ''))
  return lines.map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.replaceAll('`', '').trim()),
  )
}

/** Blocks of code, with what stands behind the three backticks. */
function blocks(markdown: string): { readonly info: string; readonly code: string }[] {
  return [...markdown.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map(([, info = '', code = '']) => ({ info, code }))
}

t.test('docs/errors.md explains every error under what it does, and no other', async t => {
  const parts = prose(read('docs/errors.md'))
    .split(/^## /m)
    .filter(part => /^### /m.test(part))
  const documented = parts.map(part => [...part.matchAll(/^### (\w+)$/gm)].map(([, code]) => code).sort())
  const kinds = ['config', 'transient', 'data'] as const
  const raised = kinds.map(kind =>
    Object.entries(ERRORS)
      .flatMap(([code, error]) => (error.kind === kind ? [code] : []))
      .sort(),
  )
  t.strictSame(documented, raised)
})

t.test('docs/errors.md lists every rule and every warning, and no other', async t => {
  const listed = (heading: string): unknown[] => tableRows(section('docs/errors.md', heading)).map(([name]) => name)
  t.strictSame(listed('Which rules can a row break?'), Object.keys(RULES))
  t.strictSame(listed('Which warnings are there?'), Object.keys(WARNINGS))
})

t.test('every error, rule and warning of the tables is raised somewhere', async t => {
  const source = files('{lib,connectors,bin}/**/*.ts').map(read).join('\n')
  const never = [ERRORS, RULES, WARNINGS]
    .flatMap(Object.keys)
    .filter(name => !new RegExp(`(?<![=!]== |<)['"]${name}['"](?!:)`).test(source))
  t.strictSame(never, [])
})

t.test('docs/traces.md lists every span with its attributes, and shows the example as it is', async t => {
  const documented = tableRows(section('docs/traces.md', 'Which spans are there?'))
  t.strictSame(
    documented,
    Object.entries(SPANS).map(([name, attributes]) => [name, attributes.join(', ')]),
  )
  const shown = blocks(read('docs/traces.md')).find(({ info }) => info === 'js')
  t.equal(shown?.code, `// otel.mjs\n${read('examples/traces/otel.mjs')}`)
})

t.test('docs/logs.md lists every outcome of an attempt and every other event, and no other', async t => {
  const listed = (heading: string): string[][] => tableRows(section('docs/logs.md', heading))
  t.strictSame(
    listed('What can become of an attempt?').map(([event, , means]) => [event, means]),
    Object.entries(OUTCOMES).map(([outcome, means]) => [`chunk.${outcome}`, means]),
  )
  const source = files('{lib,bin}/**/*.ts').map(read).join('\n')
  const written = new Set([...source.matchAll(/\bevent: '([\w.]+)'/g)].map(([, event = '']) => event))
  written.delete('chunk.failed')
  t.strictSame(
    listed('Which other events are there?')
      .map(([event]) => event)
      .sort(),
    [...written].sort(),
  )
})

t.test('docs/metrics.md lists every metric with its type and labels, and no other', async t => {
  const registry = new Registry()
  createMetrics(registry)
  const registered = registry.getMetricsAsArray().map(metric => {
    const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames : []
    return [metric.name, String(metric.type), labels.join(', ')]
  })
  const documented = tableRows(section('docs/metrics.md', 'Which metrics are there?')).map(row => row.slice(0, 3))
  t.strictSame(documented, registered)
})

t.test('docs/configuration.md lists every setting with its default and bounds, and no other', async t => {
  const documented = tableRows(section('docs/configuration.md', 'Which settings are there?')).map(row => row.slice(0, 4))
  t.strictSame(
    documented,
    Object.entries(OPTIONS).map(([name, { default: standard, min, max }]) => [name, ...[standard, min, max].map(String)]),
  )
})

t.test(
  'docs/monitoring.md lists every monitor with its levels, every threshold with its default and bounds, and no other',
  async t => {
    const monitors = tableRows(section('docs/monitoring.md', 'Which monitors are there?'))
    const declared = Object.entries(MONITORS).map(([name, { levels, means }]) => [name, levels.join(', '), means])
    t.strictSame(monitors, declared)
    const thresholds = tableRows(section('docs/monitoring.md', 'From when on do they speak?')).map(row => row.slice(0, 4))
    t.strictSame(
      thresholds,
      Object.entries(THRESHOLDS).map(([name, { default: standard, min, max }]) => [name, ...[standard, min, max].map(String)]),
    )
  },
)

/** Options with their defaults, and commands. */
interface Listed {
  readonly options: Map<string, string>
  readonly commands: string[]
}

/** What a help text lists. */
function listed(text: string): Listed {
  const [options = '', commands = ''] = text.split('Commands:')
  const flags = options
    .split(/\n {2}(?=-)/)
    .slice(1)
    .map(text => text.replace(/\s+/g, ' '))
  return {
    options: new Map(
      flags.map(text => [/^-.*?[a-z>](?= (?!-|<)|$)/.exec(text)?.[0] ?? text, /default: "?([^",)]+)/.exec(text)?.[1] ?? '']),
    ),
    commands: [...commands.matchAll(/^ {2}(\w+)/gm)].map(([, name = '']) => name).filter(name => name !== 'help'),
  }
}

/** What `headrace --help` lists, or that of one of its commands. */
function help(...words: string[]): Listed {
  const command = words.reduce((found: Command | undefined, word) => found?.commands.find(one => one.name() === word), program)
  return listed(command?.helpInformation() ?? '')
}

t.test('docs/cli.md lists every command with every option and default, and no other', async t => {
  const { commands: words, options } = help()
  const groups = words.map(word => ({ word, parts: help(word).commands }))
  const commands = groups.flatMap(({ word, parts }) => (parts.length === 0 ? [word] : parts.map(part => `${word} ${part}`)))
  const headings = [...read('docs/cli.md').matchAll(/^## headrace ([\w ]+)$/gm)].map(([, name]) => name)
  t.strictSame(headings, commands)
  t.strictSame([...options.keys()], ['-V, --version', '-h, --help'])
  const common = tableRows(section('docs/cli.md', 'Which options does every command have?'))
  const helps = commands.map(command => help(...command.split(' ')))
  for (const [index, command] of commands.entries()) {
    const documented = new Map(
      [...tableRows(section('docs/cli.md', `headrace ${command}`)), ...common].map(([flag, value]) => [flag, value]),
    )
    const real = helps[index]?.options ?? new Map()
    t.strictSame([...documented.keys()].sort(), [...real.keys()].sort(), command)
    for (const [flag, value] of real) if (value !== '') t.equal(documented.get(flag), value, `${command} ${flag}`)
  }
  for (const command of ['backfill', 'daemon']) {
    const { stdout } = await run(process.execPath, [join(ROOT, `bin/${command}.ts`), '--help'])
    const alone = listed(stdout)
    alone.options.delete('-V, --version')
    t.strictSame(alone.options, helps[commands.indexOf(command)]?.options, `headrace-${command} is headrace ${command}`)
  }
})

/** The anchor that a heading gets. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

t.test('every relative link leads to a file and a heading that exist', async t => {
  for (const file of DOCS) {
    for (const [, link = ''] of prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [path = '', hash] = link.split('#')
      const target = path === '' ? file : join(dirname(file), path)
      t.ok(existsSync(join(ROOT, target)), `${file}: ${link}`)
      if (hash === undefined || !existsSync(join(ROOT, target))) continue
      const anchors = [...prose(read(target)).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchor(heading))
      t.ok(anchors.includes(hash), `${file}: ${link}`)
    }
  }
})

t.test('every file, npm script and command that the docs name exists', async t => {
  const { commands } = help()
  for (const file of DOCS) {
    const text = read(file)
    for (const [, path = ''] of text.matchAll(
      /(?<![\w/.-])((?:lib|connectors|bin|test|bench|examples|docs|grafana)\/[\w/.-]*\w)/g,
    )) {
      t.ok(existsSync(join(ROOT, path)) || existsSync(join(ROOT, `${path}.ts`)), `${file}: ${path}`)
    }
    for (const [, script = ''] of text.matchAll(/npm run ([\w:]+)/g))
      t.ok(script in manifest.scripts, `${file}: npm run ${script}`)
    for (const [, command = ''] of text.matchAll(/(?:npx |`|\$ )headrace ([a-z]+)/g))
      t.ok(commands.includes(command), `${file}: ${command}`)
  }
})

t.test('docs/architecture.md has one line for every file, and no other', async t => {
  const listed = tableRows(section('docs/architecture.md', 'Where is what?')).map(([file = '']) => file)
  t.strictSame(listed.sort(), files('{lib,connectors,bin}/**/*.ts'))
})

t.test('every block of code that is marked as complete compiles', async t => {
  const complete = DOCS.flatMap(file =>
    blocks(read(file)).flatMap(({ info, code }) => (info === 'ts complete' ? [{ file, code }] : [])),
  )
  t.ok(complete.length > 0)
  const paths = Object.entries(manifest.exports).map(([name, target]) => [
    join('headrace', name),
    [join(ROOT, target.replace('./dist/', '').replace('.js', '.ts'))],
  ])
  const folder = t.testdir({
    'tsconfig.json': JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: { paths: Object.fromEntries(paths) },
      include: ['*.ts'],
    }),
    ...Object.fromEntries(complete.map(({ file, code }, index) => [`${index}-${anchor(file)}.ts`, code])),
  })
  const compiler = join(ROOT, 'node_modules/typescript/lib/tsc.js')
  const problems = await run(process.execPath, [compiler, '-p', folder]).then(
    () => '',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )
  t.equal(problems, '')
})

t.test('no page points to a line of code, which would not be true for long', async t => {
  for (const file of DOCS) t.notMatch(read(file), /\.(ts|js)(:\d|#L\d)|\blines? \d/i, file)
})

t.test('the first block of code of the README holds the two commands to begin with', async t => {
  const [first] = blocks(read('README.md'))
  t.match(first?.code, /^npm ci && npm run demo\b.*\nnpm ci && npm test\b/)
})
