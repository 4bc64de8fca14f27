import { createHash } from 'node:crypto'
import { type Window, windowText } from '../../chunk.ts'
import { Html, html } from './html.ts'
import { STYLE } from './style.ts'

/** Only this stylesheet, and nothing else at all: what a client is called cannot become a script. */
export const POLICY =
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** What stands in a cell of a table; numbers are written to the right. */
export type Cell = Html | string | number

/** A document of headrace as HTML: only its stylesheet, and nothing from elsewhere. */
export function document(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · headrace</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`
}

/** A table with a heading for each column; narrow screens show it as a list. Each cell is a `td`. */
export function table(caption: string, columns: readonly string[], rows: readonly (readonly Cell[])[], more = 0): Html {
  const numeric = columns.map((_, index) => rows.every(row => typeof row[index] === 'number'))
  const cells = (row: readonly Cell[]): Html[] =>
    row.map((cell, index) =>
      typeof cell === 'number'
        ? html`<td class="number" data-label="${columns[index]}">${cell.toLocaleString('en')}</td>`
        : html`<td data-label="${columns[index]}">${cell}</td>`,
    )
  return html`<div class="wide" tabindex="0" role="region" aria-label="${caption}"><table class="stack">
<caption>${caption}</caption>
<thead><tr>${columns.map((column, index) => html`<th scope="col"${numeric[index] ? html` class="number"` : undefined}>${column}</th>`)}</tr></thead>
<tbody>${rows.map(
    row => html`<tr>${cells(row)}</tr>
`,
  )}</tbody></table></div>${more > 0 ? html`<p class="quiet">and ${more.toLocaleString('en')} more</p>` : undefined}`
}

/** An instant as people read it. */
export function instant(ms: number): Html {
  const text = new Date(ms).toISOString()
  return html`<time datetime="${text}">${text.slice(0, 16).replace('T', ' ')}</time>`
}

/** Days as people read them. */
export function days(window: Window): Html {
  return html`<span class="whole">${windowText(window)}</span>`
}
