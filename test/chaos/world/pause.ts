/** Real processes need real time. Nothing here is judged by how long it took. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Looks every 50 ms until it holds; throws, naming what was waited for, after a time far beyond every limit of the engine. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, patience = 60_000): Promise<void> {
  for (const end = performance.now() + patience; !(await holds()); await pause(50))
    if (performance.now() > end) throw new Error(`within ${patience} ms it did not come to this: ${what}`)
}
