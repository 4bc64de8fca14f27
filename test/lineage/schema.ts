import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { RunEvent } from '../../lib/lineage/events.ts'

/** A schema of the specification, as far as it is looked into. */
interface Schema {
  readonly $id: string
  readonly $defs: Readonly<Record<string, { readonly allOf?: readonly { readonly $ref?: string }[] }>>
  readonly properties?: Readonly<Record<string, { readonly $ref: string }>>
}

/** Definitions that others are made of: what those add must be left to them. */
const BASES = /^(BaseEvent|BaseFacet|Dataset|(Run|Job|Dataset|InputDataset|OutputDataset)Facet)$/

/**
 * The schema with nothing allowed that it does not name. As published, every object lets further fields pass, so that a misspelt one would be one that
 * nobody knows.
 */
function strict(schema: unknown, name = ''): unknown {
  if (Array.isArray(schema)) return schema.map(part => strict(part, 'part'))
  if (typeof schema !== 'object' || schema === null) return schema
  const closed = Object.entries(schema).flatMap(([key, value]) => {
    if (key === 'additionalProperties' && value === true) return []
    if (key === 'properties' || key === '$defs') {
      return [[key, Object.fromEntries(Object.entries(value).map(([inner, one]) => [inner, strict(one, inner)]))]]
    }
    return [[key, strict(value, key === 'allOf' ? 'part' : key)]]
  })
  const whole = ('properties' in schema || 'allOf' in schema) && name !== 'part' && !BASES.test(name) && !('$id' in schema)
  return Object.fromEntries([...closed, ...(whole ? [['unevaluatedProperties', false]] : [])])
}

const SPEC = fileURLToPath(new URL('spec', import.meta.url))
const schemas = globSync('**/*.json', { cwd: SPEC }).map((file): Schema => JSON.parse(readFileSync(`${SPEC}/${file}`, 'utf8')))
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
for (const schema of schemas) ajv.addSchema(strict(schema) as object, schema.$id)

function refusals(url: string, value: unknown, place: string): string[] {
  const validate = ajv.getSchema(url)
  if (validate === undefined) return [`${place}: there is no schema ${url}`]
  if (validate(value)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${place}${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}

/** What is wrong with the facets of one kind: one that nobody knows, that is not what it says it is, or that belongs elsewhere. */
function facetProblems(facets: Readonly<Record<string, object>> = {}, base: string): string[] {
  return Object.entries(facets).flatMap(([name, facet]) => {
    const url = '_schemaURL' in facet ? String(facet._schemaURL) : ''
    const [file, place = ''] = url.split('#/$defs/')
    const schema = schemas.find(({ $id }) => $id === file)
    if (schema?.properties?.[name]?.$ref !== `#/$defs/${place}`) return [`${name} is no facet of ${url}`]
    const is = schema.$defs[place]?.allOf?.[0]?.$ref?.split('/').at(-1)
    return [...(is === base ? [] : [`${name} is a ${is}, and stands where a ${base} belongs`]), ...refusals(url, facet, name)]
  })
}

/** Everything in which an event differs from the published schemas; fields that they do not name included. */
export function problemsOf(event: RunEvent): string[] {
  const { run, job, inputs, outputs } = event
  return [
    ...refusals(event.schemaURL, event, 'event'),
    ...facetProblems(run.facets, 'RunFacet'),
    ...facetProblems(job.facets, 'JobFacet'),
    ...[...inputs, ...outputs].flatMap(({ facets }) => facetProblems(facets, 'DatasetFacet')),
    ...inputs.flatMap(({ inputFacets }) => facetProblems(inputFacets, 'InputDatasetFacet')),
    ...outputs.flatMap(({ outputFacets }) => facetProblems(outputFacets, 'OutputDatasetFacet')),
  ]
}
