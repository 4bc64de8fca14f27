import t from 'tap'
import { never } from './api.ts'
import { NO_TERMINAL, startOnTerminal } from './cli.ts'
import { MAY, project } from './project.ts'

/** The lines as they stand after everything was written: what was drawn over is gone. */
function screen(text: string): string[] {
  const lines: string[] = ['']
  let column = 0
  for (const [part] of text.replaceAll('\u001b', '␛').matchAll(/␛\[[?\d;]*[A-Za-z]|[\r\n]|[^␛\r\n]+/g)) {
    const line = lines.at(-1) ?? ''
    if (part === '\n') lines.push('')
    if (part === '\r' || part === '\n' || /^␛\[1?G$/.test(part)) column = 0
    else if (/^␛\[[02]?K$/.test(part)) lines[lines.length - 1] = part.includes('2') ? '' : line.slice(0, column)
    else if (!part.startsWith('␛')) {
      lines[lines.length - 1] = line.slice(0, column) + part + line.slice(column + part.length)
      column += part.length
    }
  }
  return lines.filter(line => line.trim() !== '')
}

t.test('a terminal shows a bar with chunks, rows, speed and rejects, and then the account', { skip: NO_TERMINAL }, async t => {
  const { folder, config } = await project(t, {}, ({ client, from }) =>
    client === 'acme' && from === '2025-05-02'
      ? { status: 503, body: 'a long explanation that goes on and on and would not fit on one line of a narrow terminal' }
      : client === 'globex' && from === '2025-05-01'
        ? { body: { data: [{ account: client, day: from, campaign: 'brand', clicks: -1, cost: '1' }] } }
        : undefined,
  )
  const ran = await startOnTerminal(['backfill', '--config', config, ...MAY], folder).ended
  const lines = screen(ran.stdout)
  const bar = lines.findIndex(line => line.includes('█'))
  t.match(lines[bar], /^█{24} 100% {2}6\/6 chunks {2}9 rows {2}[\d,]+ rows\/s {2}1 rejected$/)
  t.equal(
    lines.findLastIndex(line => line.includes('█')),
    bar,
    'the bar is left there once',
  )
  const failed = lines.findIndex(line => line.includes('failed: API_FAILED: ads/acme/2025-05-02: '))
  t.ok(failed >= 0 && failed < bar, 'what went wrong stands above the bar')
  t.match(lines.slice(0, bar).join(''), 'would not fit on one line of a narrow terminal', 'and in full')
  t.match(lines[bar + 1], /^ads, 2025-05-01\.\.2025-05-03, 2 clients, /)
  t.equal(ran.code, 1)
  t.match(ran.stdout, '\u001b[?25h', 'the cursor is back')
})

t.test('a bar and a log do not share a terminal, and machines get no bar', { skip: NO_TERMINAL }, async t => {
  const { folder, config } = await project(t)
  const ran = await Promise.all([
    startOnTerminal(['backfill', '--config', config, ...MAY, '--clients', 'acme', '--log-level', 'info'], folder).ended,
    startOnTerminal(['backfill', '--config', config, ...MAY, '--clients', 'globex', '--json'], folder).ended,
  ])
  for (const { code, stdout } of ran) {
    t.equal(code, 0)
    t.notMatch(stdout, '█')
  }
})

t.test('Ctrl-C is answered above the bar at once, and the account is left whole', { skip: NO_TERMINAL }, async t => {
  const { folder, config, api } = await project(t, { settings: 'concurrency: 1,' }, ({ from }) =>
    from === '2025-05-02' ? never : undefined,
  )
  const running = startOnTerminal(['backfill', '--config', config, ...MAY], folder)
  await api.request(({ from }) => from === '2025-05-02')
  running.process.stdin.write('\u0003')
  await running.said('stopping: what is under way is finished first, within 30 s; a second signal gives it up')
  running.process.stdin.write('\u0003')
  const ran = await running.ended
  t.equal(ran.code, 130)
  const lines = screen(ran.stdout)
  t.equal(lines.filter(line => line.includes('█')).length, 1)
  t.match(lines.at(-1), 'Interrupted after a clean drain; the same command goes on from here.')
  t.ok(ran.stdout.lastIndexOf('\u001b[?25h') > ran.stdout.lastIndexOf('\u001b[?25l'), 'the cursor is back')
})
