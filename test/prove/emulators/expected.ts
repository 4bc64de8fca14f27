/** A case that an emulator is known to fail. */
export interface ExpectedFailure {
  readonly emulator: string
  /** Matches the titles of the cases. */
  readonly cases: RegExp
  /** Matches what the failure says: another failure is a surprise. */
  readonly says: RegExp
  /** What the emulator does, and why BigQuery does not. */
  readonly why: string
}

/** Every failure that is the emulator's. What is listed here was looked up in its source or in Google's documentation. */
const EXPECTED: readonly ExpectedFailure[] = [
  {
    emulator: 'bqemulator',
    cases: /^kit: a commit replaces/,
    says: /Values were not provided for the following prepared statement parameters/,
    why: 'it runs the statements and conditions of a script without the parameters of the query; BigQuery has them everywhere in it',
  },
  {
    emulator: 'bqemulator',
    cases: /decimals are exact, short ones and long ones/,
    says: /0E-9/,
    why: 'it writes NUMERIC with an exponent, as Python does (0E-9); BigQuery writes 0',
  },
  {
    emulator: 'bqemulator',
    cases: /^load: a compressed file is read/,
    says: /Malformed JSON/,
    why: 'it reads every upload as text; BigQuery takes JSON lines compressed with gzip',
  },
  {
    emulator: 'bqemulator',
    cases: /^insert-all: any JSON comes back as it was/,
    says: /internal error|socket hang up|ECONNRESET/i,
    why: "it casts what Python prints for an object ({'b': None}) to JSON and ends with an internal error; BigQuery takes a JSON column as an object",
  },
  {
    emulator: 'bqemulator',
    cases: /^jobs: an id that is taken/,
    says: /200 !== 409/,
    why: 'it runs a job again whose id is taken; BigQuery answers 409 and runs nothing',
  },
  {
    emulator: 'bqemulator',
    cases: /^commit: a check names what it found/,
    says: /NaN/,
    why: 'it gives the fields of STRUCT(member, day) no names in JSON; BigQuery takes those of the columns',
  },
  {
    emulator: 'local-bigquery',
    cases: /^kit: a commit replaces/,
    says: /Unimplemented type for cast \(STRUCT/,
    why: 'it cannot SET two variables from one SELECT AS STRUCT, which BigQuery documents',
  },
  {
    emulator: 'local-bigquery',
    cases: /any JSON comes back as it was/,
    says: /row 3\b.*row 6\b|errors: 3\b/s,
    why: 'it parses the text of a JSON string as JSON once more; to BigQuery "text" is a JSON value like any other',
  },
  {
    emulator: 'local-bigquery',
    cases: /^load: a compressed file is read/,
    says: /Malformed JSON/,
    why: 'it reads every upload as text; BigQuery takes JSON lines compressed with gzip',
  },
  {
    emulator: 'local-bigquery',
    cases: /^commit: rows, totals and clients/,
    says: /2\.000000000000000000/,
    why: 'it writes a BIGNUMERIC with 18 decimals, zeros and all; BigQuery writes 2',
  },
  {
    emulator: 'local-bigquery',
    cases: /^commit: a check names what it found/,
    says: /NaN/,
    why: 'it gives the fields of STRUCT(member, day) no names in JSON; BigQuery takes those of the columns',
  },
]

/** The failure that a case is expected to end with. */
export function expectedFailure(emulator: string, title: string): ExpectedFailure | undefined {
  return EXPECTED.find(one => one.emulator === emulator && one.cases.test(title))
}
