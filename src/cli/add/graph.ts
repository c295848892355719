/**
 * Nodes in an order in which each comes after those that it needs, and which of them need themselves: directly or through
 * others (Tarjan's strongly connected components). Without recursion: a chain of references may be long.
 */
export function inOrder(
  roots: readonly string[],
  needs: (node: string) => readonly string[],
): { readonly order: readonly string[]; readonly cyclic: ReadonlySet<string> } {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const waiting: string[] = []
  const open = new Set<string>()
  const order: string[] = []
  const cyclic = new Set<string>()
  for (const root of roots) {
    if (index.has(root)) continue
    const path: { readonly node: string; readonly next: readonly string[]; at: number }[] = []
    const enter = (node: string): void => {
      index.set(node, index.size)
      low.set(node, index.get(node)!)
      waiting.push(node)
      open.add(node)
      path.push({ node, next: needs(node), at: 0 })
    }
    enter(root)
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.next[top.at++]
      if (next !== undefined) {
        if (next === top.node) cyclic.add(next)
        if (!index.has(next)) enter(next)
        else if (open.has(next)) low.set(top.node, Math.min(low.get(top.node)!, index.get(next)!))
        continue
      }
      path.pop()
      const above = path.at(-1)
      if (above) low.set(above.node, Math.min(low.get(above.node)!, low.get(top.node)!))
      if (low.get(top.node) !== index.get(top.node)) continue
      const part = waiting.splice(waiting.lastIndexOf(top.node))
      for (const node of part) {
        open.delete(node)
        if (part.length > 1) cyclic.add(node)
        order.push(node)
      }
    }
  }
  return { order, cyclic }
}
