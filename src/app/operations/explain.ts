import { codes, type Code, type CodeRow } from '#kernel/codes.ts'
import { fault } from '#kernel/fault.ts'

export type Explained = CodeRow & { readonly code: string }

/** What a fault code means and what to do. `input.not_found` for a code that is not in the catalogue, with its nearest relatives. */
export function explain(code: string): Explained {
  if (Object.hasOwn(codes, code)) return { code, ...codes[code as Code] }
  const family = Object.keys(codes).filter((c) => c.startsWith(`${code.split('.')[0]}.`))
  throw fault('input.not_found', {
    message: `no fault has the code "${code.slice(0, 80)}"${family.length > 0 ? `; there are ${family.join(', ')}` : ''}. A code that is not in the catalogue is one of your own (reject).`,
  })
}

export function allCodes(): readonly Explained[] {
  return Object.entries(codes).map(([code, row]) => ({ code, ...row }))
}
