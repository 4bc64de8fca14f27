import { plural } from '../quantity.ts'
import { type Html, html } from '../server/page/html.ts'
import { document, instant, table } from '../server/page/parts.ts'
import { VERSION } from '../version.ts'
import { type Fix, fixesText, MOST_FIXES, sizeText } from './fix.ts'
import { introductionOf, type Part, partsOf } from './parts.ts'
import type { Report } from './report.ts'

/** A report as one HTML document that needs nothing else: it can be mailed, opened from a disk, and printed on A4. */
export function reportPage(report: Report): Html {
  const { name, verdict, fixes, within } = report
  return document(
    `${name}: ${verdict.whole ? 'whole' : 'not whole'}`,
    html`<a class="skip" href="#fix">To what is to be done</a>
<header>
<p class="name">headrace · ${name}</p>
<h1 class="${verdict.mood}">${verdict.sentence}</h1>
${introductionOf(report).map(text => html`<p class="quiet">${text}</p>`)}
</header>
<main>
<section aria-labelledby="fix"><h2 id="fix">What to fix</h2><p>${fixesText(fixes, within)}</p>${fixes.length === 0 ? undefined : list(fixes)}</section>
${partsOf(report).map(section)}
</main>
<footer>headrace ${VERSION}</footer>`,
  )
}

function list(fixes: readonly Fix[]): Html {
  const more = fixes.length - MOST_FIXES
  return html`<ol class="fixes">${fixes.slice(0, MOST_FIXES).map(item)}</ol>
${more > 0 ? html`<p class="quiet">and ${plural(more, 'thing')} more: <span class="code">headrace findings</span> lists them all</p>` : undefined}`
}

function item(fix: Fix): Html {
  const { level, what, since, safe, action, commands } = fix
  const size = sizeText(fix)
  return html`<li><span class="tag ${level}">${level}</span> ${what}
<p class="hint">${since === null ? undefined : html`Since ${instant(since)} UTC${size === '' ? '.' : ', '}`}${size === '' ? undefined : `${size}.`} ${marked(safe)} ${marked(action)}</p>
${commands.length === 0 ? undefined : html`<pre class="code">${commands.join('\n')}</pre>`}</li>
`
}

function section({ id, heading, says, tables }: Part): Html {
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${heading}</h2>
${says.map(text => html`<p>${marked(text)}</p>`)}
${tables.map(({ caption, columns, rows, more }) => table(caption, columns, rows, more))}</section>
`
}

/** Text in which commands stand between backticks. */
function marked(text: string): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 0 ? html`${part}` : html`<span class="code">${part}</span>`))}`
}
