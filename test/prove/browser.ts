import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Registry } from 'prom-client'
import { resolveClients } from '../../lib/config.ts'
import { createLog, sqlite } from '../../lib/index.ts'
import { serve } from '../../lib/server/server.ts'
import { SEVEN, storyClients, storyConfig, tell } from '../server/page-story.ts'

// The status page of 200 clients, and the report of their week, in a real Chromium: nothing runs in it and nothing comes from elsewhere, everybody can use it, and it fits on
// a telephone. With a folder as its argument, it leaves screenshots there.

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium'
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
]
const SCREENS = [
  ['wide-light', { width: 1_400, height: 1_000 }, 'light'],
  ['wide-dark', { width: 1_400, height: 1_000 }, 'dark'],
  ['narrow-light', { width: 390, height: 844 }, 'light'],
  ['narrow-dark', { width: 390, height: 844 }, 'dark'],
] as const
const HEADINGS = [
  'What needs somebody',
  'What looks wrong',
  'What runs now',
  'What is blocked, and by what',
  'accounts',
  'keyword-performance',
  'Restated this week',
  'Done by hand',
]

/** The report of the week of the story. */
const reportIn = (url: string): string => `${url}/v1/report?week=2026-W47`

let failures = 0
function check(name: string, holds: boolean, seen: unknown = ''): void {
  console.log(`${holds ? 'holds' : 'FAILS'}  ${name}${holds ? '' : `: ${JSON.stringify(seen)}`}`)
  if (!holds) failures++
}

/** What axe-core finds wrong, by rule; the page itself lets no script in, so it is brought in past its policy. */
async function violations(page: Page): Promise<unknown> {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core') })
  return await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes[0].html).join())',
  )
}

async function screens(browser: Browser, url: string, what: 'page' | 'report', folder: string | undefined): Promise<void> {
  for (const [screen, viewport, colorScheme] of SCREENS) {
    const name = `${what}-${screen}`
    const page = await browser.newPage({ viewport, colorScheme, bypassCSP: true })
    await page.goto(url)
    if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
    const width = await page.evaluate('document.documentElement.scrollWidth')
    check(`${name}: it is no wider than the screen`, width === viewport.width, width)
    if (screen === 'wide-light' || screen === 'narrow-dark') {
      const found = await violations(page)
      check(`${name}: axe-core finds nothing wrong`, found === '', found)
    }
    await page.close()
  }
}

/** The report on a sheet of A4 within its margins, 186 mm wide; on paper it is light whatever the screen is. */
async function printed(browser: Browser, url: string, folder: string | undefined): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 703, height: 994 }, colorScheme: 'dark' })
  await page.goto(url)
  check(
    'the report says whether the week is whole',
    (await page.title()) === 'Week 2026-W47: not whole · headrace',
    await page.title(),
  )
  await page.emulateMedia({ media: 'print' })
  if (folder !== undefined) await page.screenshot({ path: join(folder, 'report-print.png'), fullPage: true })
  const [width, ground] = await page.evaluate<[number, string]>(
    '[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]',
  )
  check('the report fits on paper', width === 703, width)
  check('on paper it is light', ground === 'rgb(255, 255, 255)', ground)
  await page.close()
}

async function strict(browser: Browser, url: string): Promise<void> {
  const page = await browser.newPage()
  const said: string[] = []
  const asked: string[] = []
  page.on('console', message => said.push(message.text()))
  page.on('pageerror', error => said.push(error.message))
  page.on('dialog', dialog => said.push(dialog.message()))
  page.on('request', request => asked.push(request.url()))
  await page.goto(url)
  check('a name that is a script is text', (await page.getByText('<script>alert("x")</script>\'&').count()) > 0)
  check('nothing runs, nothing breaks the policy', said.length === 0, said)
  check('nothing is fetched but the page', asked.filter(one => !one.endsWith('/favicon.ico')).length === 1, asked)
  const ground = await page.evaluate('getComputedStyle(document.querySelector(".mark.held")).color')
  check('the stylesheet is let in by its hash', ground === 'rgb(179, 38, 30)', ground)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  check('the first key leads to what needs somebody', page.url().endsWith('#needs'), page.url())
  const rows = page.getByRole('region', { name: /accounts: 5 clients need somebody/ }).getByRole('row', { name: /client-002/ })
  const failed = rows.getByRole('img', { name: '2026-11-21: every try failed' })
  check('a day says in words what it is', (await failed.count()) === 1, await rows.count())
  const headings = await page.getByRole('heading', { level: 2 }).allTextContents()
  check('there is a heading for every part', headings.join() === HEADINGS.join(), headings)
  await page.close()
  const plain = await browser.newContext({ javaScriptEnabled: false })
  const without = await plain.newPage()
  await without.goto(url)
  await without.locator('summary').first().click()
  check('without scripts, what is folded opens', await without.getByText('client-150').first().isVisible())
  await plain.close()
}

const folder = mkdtempSync(join(tmpdir(), 'headrace-browser-'))
const ledger = sqlite({ path: join(folder, 'ledger.sqlite'), now: () => SEVEN - 3_600_000 })
const names = storyClients(200)
await tell(ledger, names)
const config = storyConfig(ledger, names)
const clients = await resolveClients(config, undefined, new AbortController().signal)
const server = await serve({
  config,
  clients: () => clients,
  registry: new Registry(),
  log: createLog('error'),
  now: () => SEVEN,
  health: () => ({ tickAt: SEVEN, draining: false }),
  host: '127.0.0.1',
  port: 0,
})
const browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGS })
try {
  await strict(browser, server.url)
  await screens(browser, server.url, 'page', process.argv[2])
  await screens(browser, reportIn(server.url), 'report', process.argv[2])
  await printed(browser, reportIn(server.url), process.argv[2])
} finally {
  await browser.close()
  await server.close()
  await ledger.close()
  rmSync(folder, { recursive: true, force: true })
}
console.log(failures === 0 ? 'The status page and the report hold in a browser.' : `${failures} checks fail.`)
process.exitCode = failures === 0 ? 0 : 1
