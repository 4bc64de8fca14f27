import t from 'tap'
import { CONNECTOR_CASES, type ConnectorHost } from '../../lib/testing/connector.ts'
import { hostOf, STYLES } from './styles.ts'
import { writtenConnector } from './written.ts'

const DATA = Array.from({ length: 7 }, (_, n) => ({ n, name: `record ${n}` }))
const visits = await writtenConnector(t.testdir())

/** The API that docs/connectors.md writes a connector for. */
function written(): ConnectorHost {
  process.env.VISITS_TOKEN = 'planted-secret-token'
  return {
    connector: url => {
      process.env.VISITS_URL = url
      return visits
    },
    answer: ({ body }) => {
      const start = Number(JSON.parse(body).after ?? 0)
      const part = DATA.slice(start, start + 3)
      const rows = part.map(({ n, name }) => [n, name])
      return { body: { columns: ['n', 'name'], rows, more: start + 3 < DATA.length, end: start + 3, total: DATA.length } }
    },
    ...{ client: 'acme', window: { from: '2026-01-01', to: '2026-01-03' }, records: DATA, secrets: ['planted-secret-token'] },
  }
}

const HOSTS: Readonly<Record<string, () => ConnectorHost>> = {
  ...Object.fromEntries(Object.entries(STYLES).map(([name, style]) => [name, () => hostOf(style, DATA, 3)])),
  'the connector of the documentation': written,
}

for (const [name, open] of Object.entries(HOSTS)) {
  t.test(name, async t => {
    for (const { title, run } of CONNECTOR_CASES) await t.resolves(run(open), title)
  })
}
