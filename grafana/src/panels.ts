import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  DashboardBuilder,
  type DashboardLink,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  TextBoxVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

const PROMETHEUS = { type: 'prometheus', uid: '$datasource' }
const LEDGER = { type: 'grafana-postgresql-datasource', uid: '$ledger' }

/** What a panel shows, in the words of somebody who sees it for the first time. */
interface Shown {
  readonly title: string
  /** What the number means, and from when on it is bad. */
  readonly about: string
  /** One of Grafana's units. */
  readonly unit: string
  /** PromQL, each with the legend of its series. */
  readonly queries: Readonly<Record<string, string>>
  /** The alert whose runbook says what to do. */
  readonly runbook?: string
}

function link(runbook: string | undefined): Builder<DashboardLink>[] {
  if (runbook === undefined) return []
  const url = `\${docs}/runbooks.md#${runbook.toLowerCase()}`
  return [new DashboardLinkBuilder(`What to do: ${runbook}`).type(DashboardLinkType.Link).url(url).targetBlank(true)]
}

function targets({ queries }: Shown): DataqueryBuilder[] {
  return Object.entries(queries).map(([legend, expr], index) =>
    new DataqueryBuilder()
      .expr(expr)
      .legendFormat(legend)
      .refId(String.fromCharCode(65 + index))
      .datasource(PROMETHEUS),
  )
}

/** Lines over time; half as wide as the dashboard. */
export function lines(shown: Shown): Builder<Panel> {
  return new TimeseriesBuilder()
    .title(shown.title)
    .description(shown.about)
    .unit(shown.unit)
    .datasource(PROMETHEUS)
    .links(link(shown.runbook))
    .span(12)
    .height(8)
    .targets(targets(shown))
}

/** The newest number, red from `bad` on where that is said. */
export function stat(shown: Shown & { readonly bad?: number }): Builder<Panel> {
  const steps = [
    { value: null, color: shown.bad === undefined ? 'blue' : 'green' },
    ...(shown.bad === undefined ? [] : [{ value: shown.bad, color: 'red' }]),
  ]
  return new StatBuilder()
    .title(shown.title)
    .description(shown.about)
    .unit(shown.unit)
    .datasource(PROMETHEUS)
    .links(link(shown.runbook))
    .span(6)
    .height(5)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .targets(targets(shown).map(target => target.instant()))
}

/** Rows of the ledger, as wide as the dashboard. */
export function ledgerTable(title: string, about: string, sql: string): Builder<Panel> {
  const target: Builder<Dataquery> = {
    build: () => ({
      refId: 'A',
      datasource: LEDGER,
      format: 'table',
      rawQuery: true,
      rawSql: sql,
      _implementsDataqueryVariant: () => undefined,
    }),
  }
  return new TableBuilder().title(title).description(about).unit('none').datasource(LEDGER).span(24).height(9).withTarget(target)
}

/** A dashboard with the variables that all have. `variable` is what can be chosen in it besides the job. */
export function dashboard(name: string, about: string, variable: 'pipeline' | 'api' | undefined): DashboardBuilder {
  const choice = (label: string, query: string): QueryVariableBuilder =>
    new QueryVariableBuilder(label)
      .query({ query, refId: label })
      .datasource(PROMETHEUS)
      .multi(true)
      .includeAll(true)
      .allValue('.+')
      .current({ selected: true, text: ['All'], value: ['$__all'] })
      .refresh(VariableRefresh.OnDashboardLoad)
  const built = new DashboardBuilder(`headrace / ${name}`)
    .uid(`headrace-${name.toLowerCase()}`)
    .description(about)
    .tags(['headrace'])
    .readonly()
    .refresh('1m')
    .time({ from: 'now-24h', to: 'now' })
    .timezone('utc')
    .link(
      new DashboardLinkBuilder('headrace').type(DashboardLinkType.Dashboards).tags(['headrace']).keepTime(true).includeVars(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Prometheus').type('prometheus'))
    .withVariable(choice('job', 'label_values(headrace_build_info, job)'))
    .withVariable(
      new TextBoxVariableBuilder('docs').label('docs').description('Where the docs of headrace are.').defaultValue('docs'),
    )
  if (variable === undefined) return built
  return built.withVariable(choice(variable, `label_values(headrace_pipeline_info{job=~"$job"}, ${variable})`))
}

/** Where the ledger is, for dashboards that read it. */
export function withLedger(built: DashboardBuilder): DashboardBuilder {
  return built.withVariable(
    new DatasourceVariableBuilder('ledger').label('Ledger (PostgreSQL)').type('grafana-postgresql-datasource'),
  )
}

/** Selects the job and the pipelines that are chosen. */
export const S = 'job=~"$job",pipeline=~"$pipeline"'

/** Selects the job that is chosen. */
export const J = 'job=~"$job"'

/** Selects the job and the APIs that are chosen. */
export const A = 'job=~"$job",api=~"$api"'
