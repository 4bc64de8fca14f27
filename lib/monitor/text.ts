import { clientsOf, type Finding, findingId, MONITORS, numberText } from './finding.ts'

/** A finding in words: what and where; since when and how much; what is safe; what to do. */
export function findingLines(finding: Finding): string[] {
  const { monitor, level, pipelines, since, what, places, rows } = finding
  const { safe, action } = MONITORS[monitor]
  const clients = clientsOf(places).length
  const size = [
    ...(rows === 0 ? [] : [`about ${numberText(rows)} ${rows === 1 ? 'row' : 'rows'}`]),
    ...(clients === 0 ? [] : [`${clients} ${clients === 1 ? 'client' : 'clients'}`]),
  ]
  return [
    `${level}: ${[...pipelines, monitor].join(', ')}: ${what}`,
    [`since ${new Date(since).toISOString().slice(0, 16).replace('T', ' ')} UTC`, ...size].join(', '),
    safe,
    action,
  ]
}

/** A finding as machines read it: with its name, and what is safe and to be done. */
export function findingJson(finding: Finding): Finding & { readonly id: string; readonly safe: string; readonly action: string } {
  const { safe, action } = MONITORS[finding.monitor]
  return { id: findingId(finding), ...finding, safe, action }
}
