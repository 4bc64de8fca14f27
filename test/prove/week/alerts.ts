import { setTimeout as delay } from 'node:timers/promises'
import { DAY, MINUTE } from './scenario.ts'

/** An alert that fired: from when, and until when, in epoch milliseconds; `resolved` is null while it lasts at the end. */
export interface Firing {
  readonly alert: string
  readonly labels: Readonly<Record<string, string>>
  readonly fired: number
  readonly resolved: number | null
}

interface Rule {
  readonly type: 'alerting' | 'recording'
  readonly name: string
  readonly query: string
  /** Seconds. */
  readonly duration: number
  readonly labels: Readonly<Record<string, string>>
}

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [seconds: number, value: string])[]
}

/** Asks Prometheus, until it has read its rules. */
async function get<T>(url: string): Promise<T> {
  for (let tries = 0; ; tries++) {
    const answer = await fetch(url)
    const text = await answer.text()
    if (answer.ok) return JSON.parse(text).data
    if (tries === 50 || answer.status !== 503) throw new Error(`${url}: ${answer.status} ${text}`)
    await delay(100)
  }
}

/** Every alert that fired within a span, by the rules that a Prometheus has read and the series that it holds; the rules are evaluated every minute. */
export async function firings(url: string, from: number, to: number): Promise<Firing[]> {
  const { groups } = await get<{ groups: { rules: Rule[] }[] }>(`${url}/api/v1/rules?type=alert`)
  const found: Firing[] = []
  for (const rule of groups.flatMap(({ rules }) => rules)) {
    const result: Series[] = []
    // Day by day: Prometheus gives no more than 11,000 moments at once.
    for (let start = from; start <= to; start += DAY) {
      const span = { start: String(start / 1_000), end: String(Math.min(start + DAY - MINUTE, to) / 1_000) }
      const range = new URLSearchParams({ query: rule.query, ...span, step: '60' })
      result.push(...(await get<{ result: Series[] }>(`${url}/api/v1/query_range?${range}`)).result)
    }
    // An alert is known by its labels, whatever the series is called that it comes from.
    const moments = Map.groupBy(
      result.flatMap(({ metric: { __name__: _, ...labels }, values }) =>
        values.map(([seconds]) => ({ key: JSON.stringify(labels), labels, at: seconds * 1_000 })),
      ),
      ({ key }) => key,
    )
    for (const all of moments.values()) {
      const labels = { ...all[0]?.labels, ...rule.labels }
      found.push(
        ...fires(
          rule,
          labels,
          all.map(({ at }) => at).sort((a, b) => a - b),
          to,
        ),
      )
    }
  }
  return found.sort((a, b) => a.fired - b.fired)
}

/** When an alert fires: once its expression has been true at every evaluation for as long as it says; until it is not. */
function fires({ name, duration }: Rule, labels: Firing['labels'], moments: readonly number[], end: number): Firing[] {
  const found: Firing[] = []
  let since = 0
  for (const [index, moment] of moments.entries()) {
    if (moments[index - 1] !== moment - MINUTE) since = moment
    if (moments[index + 1] === moment + MINUTE) continue
    const fired = since + duration * 1_000
    if (fired <= moment) found.push({ alert: name, labels, fired, resolved: moment === end ? null : moment + MINUTE })
  }
  return found
}
