import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { backfillCommand, daemonCommand } from '../bin/commands/define.ts'
import { createProgram } from '../bin/run.ts'
import { OPTIONS } from '../lib/options.ts'
import manifest from '../package.json' with { type: 'json' }

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const files = ['Dockerfile', ...globSync('examples/deploy/**/*.*', { cwd: ROOT })].map(file => ({
  file,
  text: readFileSync(join(ROOT, file), 'utf8'),
}))

const COMMANDS = {
  backfill: backfillCommand(createProgram('backfill', '')),
  daemon: daemonCommand(createProgram('daemon', '')),
}

/** The words of every list, of JSON, YAML or Python, that begins one of the commands; texts that are computed are left out. */
function commandLines(text: string): string[][] {
  const lists = [...text.matchAll(/\[([^[\]]*)\]/g)].map(([, words = '']) =>
    words.split(',').map(word => word.trim().replace(/^["']|["']$/g, '')),
  )
  return lists.flatMap(words => {
    const at = words.findIndex(word => word in COMMANDS)
    return at < 0 ? [] : [words.slice(at)]
  })
}

t.test('whatever examples of deployment start is a command of headrace with options that it has', t => {
  const lines = files.flatMap(({ file, text }) => commandLines(text).map(words => ({ file, words })))
  t.strictSame(lines.map(({ file, words: [command] }) => `${file}: ${command}`).toSorted(), [
    'Dockerfile: daemon',
    'examples/deploy/airflow.py: backfill',
    'examples/deploy/cloud-run.yaml: backfill',
    'examples/deploy/kubernetes/backfill.yaml: backfill',
    'examples/deploy/kubernetes/daemon.yaml: daemon',
  ])
  for (const { file, words } of lines) {
    const [name, ...rest] = words
    const command = name === 'daemon' ? COMMANDS.daemon : COMMANDS.backfill
    const known = command.options.map(({ long }) => long)
    for (const word of rest.filter(word => word.startsWith('--'))) t.ok(known.includes(word), `${file}: ${name} ${word}`)
  }
  t.match(files.find(({ file }) => file.endsWith('.service'))?.text, /dist\/bin\/headrace\.js daemon$/m)
  t.end()
})

t.test('a process is given longer to end than it takes to finish what is under way', t => {
  const graces = files.flatMap(({ file, text }) =>
    [...text.matchAll(/(?:TimeoutStopSec=|stop_grace_period: |terminationGracePeriodSeconds: )(\d+)/g)].map(([, seconds]) => ({
      file,
      seconds: Number(seconds),
    })),
  )
  t.equal(graces.length, 4)
  for (const { file, seconds } of graces) t.ok(seconds > OPTIONS.drainSeconds.default, file)
  t.end()
})

t.test('as many shards are started as each is told there are', t => {
  const text = files.find(({ file }) => file.endsWith('kubernetes/backfill.yaml'))?.text ?? ''
  const [, completions] = /completions: (\d+)/.exec(text) ?? []
  const [, shards] = /--shards, "(\d+)"/.exec(text) ?? []
  t.equal(shards, completions)
  t.match(text, 'values: [2, 42]')
  t.end()
})

t.test('the image has the Node that headrace is tested with', t => {
  const [major] = manifest.devDependencies.node.split('.')
  const froms = files.flatMap(({ file, text }) =>
    file === 'Dockerfile' ? [...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image) : [],
  )
  t.strictSame(froms, [`node:${major}-bookworm-slim`, `node:${major}-bookworm-slim`])
  t.end()
})

t.test('whatever the Compose file mounts is there, and Grafana gets every variable that its data sources name', t => {
  const compose = files.find(({ file }) => file.endsWith('compose.yaml'))?.text ?? ''
  const mounted = [...compose.matchAll(/^ +- (\.{1,2}\/[^:]+):/gm)].map(([, path = '']) => path)
  t.ok(mounted.includes('../../grafana/dashboards'))
  for (const path of mounted.filter(path => path !== './headrace.config.ts')) {
    t.ok(existsSync(join(ROOT, 'examples/deploy', path)), path)
  }
  const sources = readFileSync(join(ROOT, 'grafana/provisioning/datasources/headrace.yml'), 'utf8')
  const variables = [...sources.matchAll(/\$([A-Z_]+)/g)].map(([, name = '']) => name)
  t.ok(variables.length > 4)
  for (const name of variables) t.match(compose, new RegExp(`^      ${name}: `, 'm'))
  t.end()
})
