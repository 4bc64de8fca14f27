import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pageToken, rest } from '../../../connectors/rest/index.ts'
import { definePipeline } from '../../../lib/index.ts'
import { client, custom, timestamp as instant, integer, text } from '../../../lib/mapping.ts'
import { date, defineTable, int64, string, timestamp } from '../../../lib/table.ts'
import { rows, run } from '../../support/run.ts'
import { freePort } from '../free-port.ts'
import { folder, start } from './process.ts'

/** Where Debian puts it. */
const HOME = '/usr/share/mediawiki'

const USERS = ['Ada', 'Bea', 'Cem']
const REVISIONS = 2_000

/** An edit, as `list=usercontribs` tells it. */
interface Edit {
  user: string
  revid: number
  title: string
  timestamp: string
  comment: string
  size: number
}

/** Ten edits of each page, six minutes apart, by three users in turn. */
function dump(): string {
  const first = Date.parse('2026-01-01T00:00:00Z')
  const revision = (n: number): string =>
    `<revision><id>${1_000 + n}</id><timestamp>${new Date(first + n * 360_000).toISOString().slice(0, 19)}Z</timestamp>` +
    `<contributor><username>${USERS[(n * 7) % 3]}</username></contributor><comment>edit ${n} "é" &amp; more</comment>` +
    `<model>wikitext</model><format>text/x-wiki</format><text xml:space="preserve">${'x'.repeat(1 + (n % 50))} ${n}</text></revision>`
  const pages = Array.from({ length: REVISIONS / 10 }, (_, page) => {
    const revisions = Array.from({ length: 10 }, (_, n) => revision(page * 10 + n))
    return `<page><title>Page ${page}</title><ns>0</ns><id>${page + 10}</id>${revisions.join('')}</page>`
  })
  const head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">'
  return `${head}${pages.join('\n')}</mediawiki>`
}

/** Reads every edit of three users out of a wiki, page by page, and compares what was published with the database of the wiki. */
export async function fromMediaWiki(php: string): Promise<void> {
  if (!existsSync(join(HOME, 'api.php'))) {
    console.log('mediawiki is not installed: left out')
    return
  }
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const settings = join(folder, 'LocalSettings.php')
  const maintenance = (script: string, ...args: string[]): void =>
    void execFileSync(php, [join(HOME, 'maintenance', script), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const database = ['--dbtype', 'sqlite', '--dbpath', join(folder, 'wiki'), '--dbname', 'wiki']
  maintenance(
    'install.php',
    ...database,
    '--confpath',
    folder,
    '--server',
    url,
    '--scriptpath',
    '',
    '--pass',
    'a long password',
    'wiki',
    'Admin',
  )
  writeFileSync(join(folder, 'dump.xml'), dump())
  maintenance('importDump.php', '--conf', settings, '--no-updates', join(folder, 'dump.xml'))
  await start(php, ['-q', '-S', `127.0.0.1:${port}`, '-t', HOME], `${url}/api.php`, { MW_CONFIG_FILE: settings })

  const table = defineTable(
    'wiki.edits',
    { client_id: string(), date: date(), revision: int64(), at: timestamp(), title: string(), comment: string(), size: int64() },
    { partitionBy: 'date', key: ['client_id', 'date', 'revision'] },
  )
  const source = rest<Edit>({
    name: 'mediawiki',
    url: `${url}/api.php?action=query&format=json&formatversion=2&list=usercontribs&ucdir=newer&ucprop=ids|title|timestamp|comment|size`,
    query: { ucuser: '{client}', ucstart: '{from}T00:00:00Z', ucend: '{to}T23:59:59Z', continue: '-||' },
    records: 'query.usercontribs',
    pages: pageToken({ param: 'uccontinue', next: 'continue.uccontinue', size: { param: 'uclimit', records: 37 } }),
  })
  // Users of other wikis keep their names with a prefix.
  const clients = USERS.map(user => `imported>${user}`)
  const { exitCode, progress } = await run({
    folder: join(folder, 'mediawiki'),
    pipeline: definePipeline({
      name: 'edits',
      source,
      table,
      map: {
        client_id: client('user'),
        date: custom('DATE', (edit: Edit) => edit.timestamp.slice(0, 10), 'the day of an instant'),
        revision: integer('revid'),
        at: instant('timestamp'),
        title: text('title'),
        comment: text('comment'),
        size: integer('size'),
      },
      chunk: { days: 3 },
      totals: ['size'],
    }),
    from: '2026-01-01',
    to: '2026-01-12',
    clients,
  })
  assert.equal(exitCode, 0)
  const published = await rows(
    join(folder, 'mediawiki'),
    'SELECT client_id, revision::VARCHAR AS revision, strftime("at", \'%Y%m%d%H%M%S\') AS "at", title, comment, size::VARCHAR AS size ' +
      'FROM wiki.edits ORDER BY revision::BIGINT',
  )
  const wiki = new DatabaseSync(join(folder, 'wiki', 'wiki.sqlite'), { readOnly: true })
  const kept = wiki
    .prepare(
      'SELECT actor_name AS client_id, CAST(rev_id AS TEXT) AS revision, CAST(rev_timestamp AS TEXT) AS at, page_title AS title, ' +
        'comment_text AS comment, CAST(rev_len AS TEXT) AS size FROM revision JOIN actor ON actor_id = rev_actor ' +
        'JOIN page ON page_id = rev_page JOIN revision_comment_temp ON revcomment_rev = rev_id ' +
        "JOIN comment ON comment_id = revcomment_comment_id WHERE actor_name LIKE 'imported>%' ORDER BY rev_id",
    )
    .all()
    .map(row => ({ ...row, title: String(row.title).replaceAll('_', ' ') }))
  wiki.close()
  assert.equal(kept.length, REVISIONS)
  assert.deepEqual(published, kept)
  console.log(`mediawiki: ${published.length} edits in ${progress.published} chunks, as they are in its database`)
}
