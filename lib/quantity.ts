/** A number with thousands separators. */
export function count(number: number): string {
  return number.toLocaleString('en')
}

/** A number of things: `1 chunk`, `2,000 chunks`. */
export function plural(number: number, thing: string): string {
  return `${count(number)} ${thing}${number === 1 ? '' : 's'}`
}

/** Seconds as people say them. */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** Hours as people say them, in days when they are many. */
export function hours(number: number): string {
  if (number >= 48) return plural(Math.round(number / 24), 'day')
  return `${number.toLocaleString('en', { maximumFractionDigits: number < 10 ? 1 : 0 })} h`
}

/** A number of bytes in the unit that suits it. */
export function bytes(number: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
  const power = Math.min(units.length - 1, number < 1 ? 0 : Math.floor(Math.log2(number) / 10))
  const scaled = number / 1_024 ** power
  return `${scaled.toLocaleString('en', { maximumFractionDigits: scaled < 100 ? 1 : 0 })} ${units[power]}`
}

/** An instant to the minute; epoch milliseconds. */
export function minute(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
