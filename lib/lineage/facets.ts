import { VERSION } from '../version.ts'

/** Who tells: this version of headrace, as a package URL. */
export const PRODUCER = `pkg:npm/headrace@${VERSION}`

/** Where OpenLineage publishes its schemas. */
const SPEC = 'https://openlineage.io/spec'

/** The schema of every event. */
export const EVENT_SCHEMA = `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`

/** The facets that are told, each in the version that it is written for. */
const FACETS = {
  nominalTime: ['1-0-1', 'NominalTimeRunFacet'],
  parent: ['1-2-0', 'ParentRunFacet'],
  processing_engine: ['1-1-1', 'ProcessingEngineRunFacet'],
  tags: ['1-0-0', 'TagsRunFacet'],
  errorMessage: ['1-0-1', 'ErrorMessageRunFacet'],
  jobType: ['2-0-4', 'JobTypeJobFacet'],
  documentation: ['1-1-0', 'DocumentationJobFacet'],
  schema: ['1-2-0', 'SchemaDatasetFacet'],
  columnLineage: ['1-2-0', 'ColumnLineageDatasetFacet'],
  dataQualityMetrics: ['1-0-1', 'DataQualityMetricsDatasetFacet'],
  dataQualityAssertions: ['1-1-0', 'DataQualityAssertionsDatasetFacet'],
  outputStatistics: ['1-0-2', 'OutputStatisticsOutputDatasetFacet'],
} as const

/** Name of a facet. */
export type FacetName = keyof typeof FACETS

/** Facets by name, as they stand in an event. */
export type Facets = Readonly<Partial<Record<FacetName, object>>>

/** A facet under its name, with who tells it and which schema it follows. */
export function facet(name: FacetName, fields: object): Facets {
  const [version, type] = FACETS[name]
  return { [name]: { _producer: PRODUCER, _schemaURL: `${SPEC}/facets/${version}/${type}.json#/$defs/${type}`, ...fields } }
}
