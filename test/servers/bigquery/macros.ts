/**
 * The functions of GoogleSQL that DuckDB spells or means differently, as macros. Every branch of a macro must bind for every type, so they work
 * on the text of a value; the regular expressions are DuckDB's.
 */
export const MACROS: readonly string[] = [
  // CAST(x AS STRING): decimals and floats without trailing zeros.
  String.raw`CREATE MACRO hr_string(x) AS CASE
    WHEN x IS NULL THEN NULL
    WHEN typeof(x) LIKE 'DECIMAL%' THEN regexp_replace(regexp_replace(x::VARCHAR, '(\.\d*?)0+$', '\1'), '\.$', '')
    WHEN typeof(x) = 'DOUBLE' THEN regexp_replace(x::VARCHAR, '\.0$', '')
    WHEN typeof(x) IN ('VARCHAR', 'BIGINT', 'INTEGER', 'HUGEINT', 'BOOLEAN', 'DATE', 'TIMESTAMP WITH TIME ZONE') THEN x::VARCHAR
    ELSE error('Invalid cast from ' || typeof(x) || ' to STRING, or one this local server does not know') END`,
  // One value in TO_JSON_STRING. Structs and arrays of other than plain values are taken apart by the translator.
  String.raw`CREATE MACRO hr_json(x) AS CASE
    WHEN x IS NULL THEN 'null'
    WHEN typeof(x) LIKE 'DECIMAL%' AND NOT ends_with(typeof(x), ']') OR typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT') THEN
      CASE WHEN regexp_matches(hr_string(x), '^-?\d{1,15}$') THEN hr_string(x) ELSE '"' || hr_string(x) || '"' END
    WHEN typeof(x) = 'DOUBLE' THEN hr_string(x)
    WHEN typeof(x) = 'TIMESTAMP WITH TIME ZONE' THEN '"' || replace(replace(x::VARCHAR, ' ', 'T'), '+00', 'Z') || '"'
    WHEN typeof(x) = 'JSON' THEN x::VARCHAR
    WHEN regexp_matches(typeof(x), 'DECIMAL|DOUBLE|TIME|BLOB|JSON') THEN
      error('TO_JSON_STRING of ' || typeof(x) || ' is not known to this local server')
    ELSE to_json(x)::VARCHAR END`,
  `CREATE MACRO hr_divide_whole(a, b) AS CASE WHEN b = 0 THEN error('division by zero: ' || a || ' / ' || b) ELSE a // b END`,
  `CREATE MACRO hr_divide(a, b) AS CASE WHEN b = 0 THEN error('division by zero: ' || a || ' / ' || b) ELSE a / b END`,
]
