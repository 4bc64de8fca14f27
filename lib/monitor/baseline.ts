/** What is usual on one day, by the days before it. */
export interface Baseline {
  readonly expected: number
  /** How far days usually are from what is expected of them: a standard deviation, estimated so that a few wild days do not count. */
  readonly spread: number
}

/** Days that are looked back on: eight of each weekday. */
export const BASELINE_DAYS = 56

/** Days of the same weekday without which nothing is expected: history is short. */
const FEWEST_WEEKS = 4

/** Days that say at which level the values are now. */
const LEVEL_DAYS = 7

/** Make a median of absolute deviations, and what nine of ten of them are below, comparable with a standard deviation. */
const MEDIAN_TO_DEVIATION = 1.4826
const NINE_OF_TEN_TO_DEVIATION = 1 / 1.6449

/** The middle one of some numbers; of two in the middle, what is between them. `NaN` of none. */
export function median(numbers: Iterable<number>): number {
  return quantile(Float64Array.from(numbers).sort(), 0.5)
}

/** What a share of sorted numbers is below. */
function quantile(sorted: Float64Array, share: number): number {
  const at = (sorted.length - 1) * share
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return (low + high) / 2
}

/** The values of the days before one, by how long ago, from 1 on; `NaN` where there is none. */
function past(values: ReadonlyMap<number, number>, epochDay: number, holidays: ReadonlySet<number>): Float64Array {
  const days = new Float64Array(BASELINE_DAYS + 1).fill(Number.NaN)
  for (let ago = 1; ago <= BASELINE_DAYS; ago++) {
    if (!holidays.has(epochDay - ago)) days[ago] = values.get(epochDay - ago) ?? Number.NaN
  }
  return days
}

/** The numbers of an array that are none of `NaN`, sorted. */
function sorted(numbers: Float64Array): Float64Array {
  return numbers.filter(number => !Number.isNaN(number)).sort()
}

/**
 * What a day should hold, from the eight weeks before it: the median of its weekday, times how the last week compares with the medians of its
 * weekdays. So a new level is unusual for four days, and then it is the level. Days without a value, and holidays, are left out. Nothing when the
 * weekday has fewer than four values.
 */
export function baselineOf(
  values: ReadonlyMap<number, number>,
  epochDay: number,
  holidays: ReadonlySet<number>,
): Baseline | undefined {
  const days = past(values, epochDay, holidays)
  const ofWeekday = (weekday: number): Float64Array => sorted(days.filter((_, ago) => ago > 0 && ago % 7 === weekday))
  const same = ofWeekday(0)
  if (same.length < FEWEST_WEEKS) return undefined
  const usual = Float64Array.from({ length: 7 }, (_, weekday) => quantile(weekday === 0 ? same : ofWeekday(weekday), 0.5))
  const expected = usual[0] ?? Number.NaN
  const deviations = sorted(days.map((value, ago) => Math.abs(value - (usual[ago % 7] ?? Number.NaN))))
  const spread = Math.max(MEDIAN_TO_DEVIATION * quantile(deviations, 0.5), NINE_OF_TEN_TO_DEVIATION * quantile(deviations, 0.9))
  // Where values scatter about zero, a level says nothing.
  const level = usual.every(value => !(value <= spread)) ? levelOf(days, usual) : 1
  return { expected: expected * level, spread }
}

/** How the last week compares with the medians of its weekdays, if each of its days has a value: of fewer, a fault of three days would be half. */
function levelOf(days: Float64Array, usual: Float64Array): number {
  const ratios = sorted(days.slice(1, LEVEL_DAYS + 1).map((value, index) => value / (usual[(index + 1) % 7] ?? Number.NaN)))
  return ratios.length < LEVEL_DAYS || ratios[0] === 0 ? 1 : quantile(ratios, 0.5)
}
