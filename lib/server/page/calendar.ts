import { daysOf } from '../../chunk.ts'
import { type Calendar, type CalendarRow, DAY_STATES, type DayCell, type DayState } from '../../standing/calendar.ts'
import { type Html, html } from './html.ts'

/** A mark for each state, so that nobody has to tell them apart by their colours. */
export const MARKS: Readonly<Record<DayState, string>> = {
  held: '!',
  failed: '×',
  parked: '‖',
  missing: '?',
  reading: '▸',
  waiting: '…',
  restated: '↻',
  published: '✓',
  notDue: '·',
}

/** More clients than these are folded away when nothing is wrong with them. */
const UNFOLDED = 8

/** The days of a pipeline: clients of which something is wrong first, the others behind, folded when they are many. */
export function calendarSection(name: string, { window, rows }: Calendar): Html {
  if (rows.length === 0) return html`<p>There are no clients.</p>`
  const wrong = rows.filter(row => row.wrong)
  const busy = rows.filter(row => !row.wrong && !row.complete)
  const good = rows.filter(row => !row.wrong && row.complete)
  const days = daysOf(window)
  const part = (count: number, one: string, many: string, some: readonly CalendarRow[]): Html => {
    if (count === 0) return html``
    const what = count === 1 ? `1 client ${one}` : `${count} clients ${many}`
    return html`<h3>${what}</h3>${calendarTable(`${name}: ${what}`, days, some)}`
  }
  const all = `${good.length} clients have every day that is due`
  return html`${part(wrong.length, 'needs somebody', 'need somebody', wrong)}
${part(busy.length, 'is still being read', 'are still being read', busy)}
${
  good.length > UNFOLDED
    ? html`<details><summary>${all}</summary>${calendarTable(`${name}: ${all}`, days, good)}</details>`
    : part(good.length, 'has every day that is due', 'have every day that is due', good)
}`
}

function calendarTable(name: string, days: readonly string[], rows: readonly CalendarRow[]): Html {
  const months = [...Map.groupBy(days, day => day.slice(0, 7))]
  return html`<div class="wide days" tabindex="0" role="region" aria-label="${name}"><table class="calendar" aria-label="${name}">
<thead>
<tr><th scope="col" rowspan="2">client</th><th scope="col" rowspan="2">complete through</th>
${months.map(([month, same]) => html`<th class="month" scope="colgroup" colspan="${same.length}">${month}</th>`)}</tr>
<tr>${days.map(day => html`<th class="day" scope="col"><span aria-hidden="true">${day.slice(8)}</span><span class="unseen">${day}</span></th>`)}</tr>
</thead>
<tbody>
${rows.map(row => calendarRow(row))}
</tbody></table></div>`
}

function calendarRow({ client, completeThrough, complete, cells }: CalendarRow): Html {
  const through = completeThrough ?? 'no day'
  return html`<tr><th scope="row" title="${client}">${client}</th><td class="through${complete ? '' : ' behind'}">${through}</td>${cells.map(dayCell)}</tr>
`
}

function dayCell({ day, state, published }: DayCell): Html {
  const rows = published === null ? '' : `; ${published.rows.toLocaleString('en')} rows published`
  const doubt = published?.doubtful ? ', or what was about to be: the last commit was interrupted' : ''
  const said = `${day}: ${DAY_STATES[state]}${rows}${doubt}`
  return html`<td class="day"><span class="mark ${state}" role="img" title="${said}">${MARKS[state]}</span></td>`
}

/** What the marks mean. */
export function key(): Html {
  const states = Object.entries(DAY_STATES)
  return html`<ul class="key">${states.map(
    ([state, meaning]) =>
      html`<li><span class="mark ${state}" aria-hidden="true">${Object.entries(MARKS).find(([name]) => name === state)?.[1]}</span>${meaning}</li>`,
  )}</ul>`
}
