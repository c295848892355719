/** The symbol that `console.log` of Node and other runtimes asks an object for. Written out: the kernel imports no node:. */
export const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never
