/** Says what was done, and what came of it. */
export const step = (title: string, numbers: object): void => console.log(`${title}: ${JSON.stringify(numbers)}`)
