/** The type of a query parameter, as the REST interface spells it. */
export interface ParameterType {
  readonly type: string
  readonly arrayType?: ParameterType
  readonly structTypes?: readonly { readonly name: string; readonly type: ParameterType }[]
}

/** The value of a query parameter. Never empty: an empty one is NULL, and a comparison with NULL passes silently. */
export type ParameterValue =
  | { readonly value: string }
  | { readonly arrayValues: readonly ParameterValue[] }
  | { readonly structValues: Readonly<Record<string, ParameterValue>> }

/** A named query parameter. */
export interface QueryParameter {
  readonly name: string
  readonly parameterType: ParameterType
  readonly parameterValue: ParameterValue
}

/** The scalar types that parameters have here. */
export type ScalarType = 'STRING' | 'INT64' | 'DATE' | 'BOOL'

/** A list of texts. */
export function texts(name: string, values: readonly string[]): QueryParameter {
  return {
    name,
    parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } },
    parameterValue: { arrayValues: values.map(value => ({ value })) },
  }
}

/**
 * A list of structs. Written out here and not left to the client, which sends a day given as text as NULL, and guesses the type of numbers.
 */
export function structs<F extends string>(
  name: string,
  fields: Readonly<Record<F, ScalarType>>,
  values: readonly Readonly<Record<F, string | number | boolean>>[],
): QueryParameter {
  const types = Object.entries<ScalarType>(fields)
  return {
    name,
    parameterType: {
      type: 'ARRAY',
      arrayType: { type: 'STRUCT', structTypes: types.map(([field, type]) => ({ name: field, type: { type } })) },
    },
    parameterValue: {
      arrayValues: values.map(value => ({
        structValues: Object.fromEntries(types.map(([field]) => [field, { value: String(value[field as F]) }])),
      })),
    },
  }
}
