import type { FastifyInstance } from 'fastify'
import type { Client, Config } from '../../config.ts'
import { plural } from '../../quantity.ts'
import { VERSION } from '../../version.ts'
import { calendarSection, key } from './calendar.ts'
import { type PageFacts, type PipelineFacts, pageFacts, verdict } from './facts.ts'
import { type Html, html } from './html.ts'
import { document, instant, POLICY } from './parts.ts'
import { actions, blocked, findings, problems, restatements, running } from './sections.ts'

/** Adds the status page at `/`. */
export function pageRoute(
  app: FastifyInstance,
  host: { readonly config: Config; clients(): readonly Client[]; now(): number },
): void {
  app.get('/', { schema: { summary: 'The status page, for people' } }, async (_, reply) => {
    const facts = await pageFacts(host.config, host.clients(), host.now())
    return reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(page(facts).text)
  })
}

/** The page, for whoever is on call. */
export function page(facts: PageFacts): Html {
  const { mood, sentence } = verdict(facts)
  const title = mood === 'good' ? 'All there' : mood === 'busy' ? 'Under way' : 'Not all there'
  return document(
    title,
    html`<a class="skip" href="#needs">To what needs somebody</a>
<header>
<p class="name">headrace</p>
<h1 class="${mood}">${sentence}</h1>
<p class="quiet">${plural(facts.clients, 'client')}, ${plural(facts.pipelines.length, 'pipeline')}, as of ${instant(facts.now)} UTC. <a href="/">Look again</a></p>
<nav aria-label="Parts of this page"><ul>
<li><a href="#needs">Needs somebody</a></li><li><a href="#findings">Looks wrong</a></li><li><a href="#runs">Runs now</a></li><li><a href="#blocked">Blocked</a></li>
${facts.pipelines.map(({ pipeline: { name } }) => html`<li><a href="#pipeline-${name}">${name}</a></li>`)}
<li><a href="#restated">Restated this week</a></li><li><a href="#actions">Done by hand</a></li><li><a href="/v1/report">Last week</a></li>
</ul></nav>
</header>
<main>
<section aria-labelledby="needs"><h2 id="needs">What needs somebody</h2>${problems(facts)}</section>
<section aria-labelledby="findings"><h2 id="findings">What looks wrong</h2>${findings(facts)}</section>
<section aria-labelledby="runs"><h2 id="runs">What runs now</h2>${running(facts)}</section>
<section aria-labelledby="blocked"><h2 id="blocked">What is blocked, and by what</h2>${blocked(facts)}</section>
${facts.pipelines.map((one, index) => pipelineSection(one, index === 0))}
<section aria-labelledby="restated"><h2 id="restated">Restated this week</h2>${restatements(facts)}</section>
<section aria-labelledby="actions"><h2 id="actions">Done by hand</h2>${actions(facts)}</section>
</main>
<footer>headrace ${VERSION} · <a href="/readyz">health</a> · <a href="/metrics">metrics</a> · <a href="/v1/openapi.json">API</a></footer>`,
  )
}

function pipelineSection(
  { pipeline: { name, description, table, schedule }, calendar, nextAt }: PipelineFacts,
  withKey: boolean,
): Html {
  const when =
    nextAt === null
      ? html`it has no schedule`
      : html`next due ${instant(nextAt)} UTC by ${schedule.map(one => one.name).join(', ')}`
  return html`<section aria-labelledby="pipeline-${name}"><h2 id="pipeline-${name}">${name}</h2>
<p class="quiet">${description === undefined ? undefined : html`${description.replace(/\.$/, '')}. `}Table <span class="code">${table.name}</span>; ${when}.</p>
${withKey ? key() : undefined}${calendarSection(name, calendar)}</section>
`
}
