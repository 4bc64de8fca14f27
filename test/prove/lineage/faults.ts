/** What is spoiled in the text of an event about a published chunk, and what the judge has to say of it. */
interface Fault {
  readonly from: string
  readonly to: string
  readonly problem: RegExp
}

/** The mistakes that one makes. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  'an event of an unknown type': {
    from: '"eventType":"COMPLETE"',
    to: '"eventType":"DONE"',
    problem: /^event\.eventType: "DONE" is no EventType/,
  },
  'a misspelt field of the event': {
    from: '"eventType":',
    to: '"evenType":',
    problem: /^event\.evenType: RunEvent has no such field/,
  },
  'an attempt whose id is none': {
    from: '"runId":"',
    to: '"runId":"x',
    problem: /^event\.run: Run refuses it: badly formed hexadecimal UUID string/,
  },
  'a misspelt field of a dataset': {
    from: '"outputFacets":',
    to: '"outputFacet":',
    problem: /^event\.outputs\[0\]\.outputFacet: OutputDataset has no such field/,
  },
  'a misspelt field of a facet': {
    from: '"nominalEndTime":',
    to: '"nominalEnd":',
    problem: /\.nominalTime\.nominalEnd: NominalTimeRunFacet has no such field/,
  },
  'a misspelt field within a facet': {
    from: '"nullCount":',
    to: '"nulls":',
    problem: /\.columnMetrics\.name\.nulls: ColumnMetrics has no such field/,
  },
  'a misspelt field of a transformation': {
    from: '"subtype":',
    to: '"subType":',
    problem: /\.columnLineage\..*\.transformations\[0\]\.subType: Transformation has no such field/,
  },
  'a text for a number': {
    from: '"rowCount":2',
    to: '"rowCount":"2"',
    problem: /\.dataQualityMetrics\.rowCount: "2" is no int/,
  },
  'a day for an instant': {
    from: '2026-03-02T00:00:00Z',
    to: '2026-03-02',
    problem: /\.nominalTime: NominalTimeRunFacet refuses it: Parsed date-time has to contain time/,
  },
  'an instant without a zone': {
    from: '2026-03-02T00:00:00Z',
    to: '2026-03-02T00:00:00',
    problem: /\.nominalTime\.nominalEndTime: 2026-03-02T00:00:00 is not written as it should be/,
  },
  'a facet without what it requires': {
    from: '"processingType":"BATCH",',
    to: '',
    problem: /\.jobType\.processingType: is required by JobTypeJobFacet/,
  },
  'an unknown facet': { from: '"outputStatistics":', to: '"statistics":', problem: /\.outputFacets\.statistics: is no facet/ },
  'a facet in an unknown version': {
    from: 'facets/1-0-1/Nom',
    to: 'facets/9-0-1/Nom',
    problem: /\.nominalTime\._schemaURL: .*9-0-1.* is not .*1-0-1/,
  },
  'a facet where it does not belong': {
    from: '"inputFacets":',
    to: '"facets":',
    problem: /^event\.inputs\[0\]\.facets\.dataQualityAssertions: is a InputDatasetFacet, and no DatasetFacet/,
  },
}

/** Fields that are required wherever they stand. */
const REQUIRED = new Set(
  `eventTime producer schemaURL run job _producer _schemaURL runId namespace nominalStartTime version key value message programmingLanguage
  processingType integration inputFields field columnMetrics assertions assertion success`.split(/\s+/),
)

/**
 * An event with one fault, for every place where there can be one: an object with a field too many or without one it needs, and a value that is null or
 * of another type.
 */
export function* spoiled(value: unknown, place: string): Generator<{ what: string; event: unknown; problem: string }> {
  yield { what: `null for ${place}`, event: null, problem: place }
  yield { what: `another type for ${place}`, event: typeof value === 'string' ? 7 : 'planted', problem: place }
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries())
      for (const one of spoiled(item, `${place}[${at}]`)) yield { ...one, event: value.with(at, one.event) }
    return
  }
  yield { what: `a field too many in ${place}`, event: { ...value, planted: true }, problem: `${place}.planted` }
  for (const [name, item] of Object.entries(value)) {
    if (REQUIRED.has(name)) {
      const rest = Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
      yield { what: `${place} without ${name}`, event: rest, problem: `${place}.${name}` }
    }
    for (const one of spoiled(item, `${place}.${name}`)) yield { ...one, event: { ...value, [name]: one.event } }
  }
}
