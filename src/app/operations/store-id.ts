import type { OperationDeps } from './deps.ts'

const name = 'store/id'

/** Which store this is: made once, when it is first asked for. A copy of the store has the same. */
export async function storeId(deps: OperationDeps): Promise<string> {
  const { keys } = deps.journal
  const known = await keys.get(name)
  if (known !== null) return known.value
  // Of two who ask at once one is refused, and then reads what the other has made.
  await keys.swap(name, 0, deps.runtime.ids.next())
  return (await keys.get(name))!.value
}
