/** The only stylesheet: light and dark, wide and narrow, on screen and on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f6f7f9; --line: #d9dde3; --text: #1b1f24; --quiet: #57606a; --link: #0b57d0;
  --good: #1a7f37; --good-ground: #dff3e4; --bad: #b3261e; --bad-ground: #fbe3e1; --odd: #8a4b00; --odd-ground: #fdf0d5;
  --busy: #0b57d0; --busy-ground: #e3edfd; --none: #6e7781;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --raised: #1d2126; --line: #363c44; --text: #e7eaee; --quiet: #a3acb7; --link: #9dc2ff;
    --good: #7ddc96; --good-ground: #15351f; --bad: #ffaaa3; --bad-ground: #4a1a17; --odd: #f5c476; --odd-ground: #40300f;
    --busy: #9dc2ff; --busy-ground: #17305a; --none: #8f99a5;
  }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main, header, footer { max-width: 84rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 1.5rem }
a { color: var(--link) }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.name { margin: 0; color: var(--quiet); font-weight: 600 }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem }
p { margin: .4rem 0; max-width: 60rem }
h1 { font-size: 1.6rem; line-height: 1.3; font-weight: 650; margin: .25rem 0 .5rem; padding-left: .75rem; border-left: .4rem solid; max-width: 60rem }
h1.good { border-color: var(--good) } h1.bad { border-color: var(--bad) } h1.busy { border-color: var(--busy) }
.quiet { color: var(--quiet) }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0; padding: 0 }
.wide { overflow-x: auto; margin: .5rem 0; position: relative }
/* Where not all days fit, the last ones are seen first. */
.days { direction: rtl } .days table { direction: ltr; margin: 0 auto 0 0 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--quiet); padding-bottom: .35rem }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line) }
thead th { color: var(--quiet); font-weight: 600; border-bottom-color: var(--quiet); white-space: nowrap }
td.number, th.number { text-align: right }
.stack td[data-label=pipeline], .stack td[data-label=client] { min-width: 9rem; overflow-wrap: anywhere }
.whole, time { white-space: nowrap }
.code { font: .85em/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
.hint { color: var(--quiet) }
.calendar th, .calendar td { padding: .12rem 0 }
.calendar thead th[rowspan] { padding-right: .9rem; vertical-align: bottom }
.calendar th[scope=row], .calendar td.through { padding-right: .9rem; white-space: nowrap; font-weight: 400 }
.calendar th[scope=row] { min-width: 12rem; max-width: 12rem; overflow: hidden; text-overflow: ellipsis }
.calendar th[scope=row], .calendar tr:first-child > th:first-child { position: sticky; left: 0; background: var(--ground) }
.calendar thead th.day { font-weight: 400; font-size: .72rem; text-align: center; padding: 0 }
.calendar thead th.month { font-weight: 600; font-size: .72rem; border-bottom: 0; text-align: left; padding: 0 0 0 .25rem; border-left: 1px solid var(--line) }
.calendar td.day { padding: 1px; border-bottom: 0 }
.day span.mark { display: block; width: 1.6rem; height: 1.6rem; line-height: 1.55rem; text-align: center; border-radius: .25rem; font-size: .85rem; border: 1px solid transparent }
.mark { background: var(--raised); color: var(--none) }
.mark.published { background: var(--good-ground); color: var(--good) }
.mark.restated { background: var(--odd-ground); color: var(--odd) }
.mark.held, .mark.failed, .mark.missing { background: var(--bad-ground); color: var(--bad); border-color: var(--bad); font-weight: 700 }
.mark.parked { background: var(--odd-ground); color: var(--odd); border-color: var(--odd) }
.mark.reading, .mark.waiting { background: var(--busy-ground); color: var(--busy) }
.mark.notDue { background: none }
.tag.block, .tag.page { background: var(--bad-ground); color: var(--bad); font-weight: 700 }
.tag.ticket { background: var(--odd-ground); color: var(--odd) }
.tag { display: inline-block; padding: 0 .5rem; border-radius: .25rem; white-space: nowrap }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: .5rem 0; color: var(--quiet); font-size: .85rem }
.key .mark { display: inline-block; width: 1.4rem; text-align: center; border-radius: .25rem; margin-right: .35rem; border: 1px solid transparent }
.behind { color: var(--bad); font-weight: 650 }
.fixes { padding-left: 1.5rem; max-width: 66rem } .fixes li { margin: .9rem 0; padding-left: .25rem; overflow-wrap: anywhere } .fixes p { margin: .2rem 0 }
pre { margin: .35rem 0; padding: .45rem .7rem; background: var(--raised); border-radius: .25rem; white-space: pre-wrap }
details { margin: .5rem 0 }
summary { cursor: pointer; color: var(--link) }
progress { width: 8rem; vertical-align: middle }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
.skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .25rem .5rem }
footer { margin: 3rem auto 2rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: .9rem }
@media (max-width: 40rem) {
  h1 { font-size: 1.25rem }
  .calendar th[scope=row] { min-width: 6.5rem; max-width: 6.5rem }
  .stack thead { display: none }
  .stack, .stack caption, .stack tbody, .stack tr, .stack td { display: block; border: 0; padding: 0 }
  .stack tr { border-bottom: 1px solid var(--line); padding: .6rem 0 }
  .stack td.number { text-align: left }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--quiet) }
}
@page { size: A4; margin: 14mm 12mm }
@media print {
  body { font-size: 9.5px } h1 { font-size: 1.7em } h2 { font-size: 1.3em; margin-top: 1.6em; padding-top: .8em }
  main, header, footer { padding: 0 } nav, .skip { display: none } footer { font-size: 1em; margin: 1.6em 0 0 } h2, h3, caption { break-after: avoid } tr, .fixes li { break-inside: avoid }
  th, td { padding: .2rem .6rem .2rem 0 } .tag, .mark, pre, h1 { print-color-adjust: exact }
  .wide { overflow: visible } details:not([open]) > * { display: none }
}
`
