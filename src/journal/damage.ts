import type { Stored } from '#adapters/stores/port.ts'

type Left = Pick<Stored, 'offset' | 'time' | 'id' | 'key' | 'meta' | 'body'>

/**
 * What is left of a damaged message, in a form that everything that shows parked messages can read (pure). Nothing of it is certain, not
 * even its id.
 *
 * The key is taken as it reads, so that in most cases, when another part is damaged, order holds (P4): those behind it wait. `belongs`
 * tells a key that cannot be right; then the message has none, and holds up nobody.
 */
export function leftOf(m: Left, now: number, belongs: (key: string) => boolean = () => true): Left {
  const { offset, body } = m
  return {
    offset,
    id: m.id === '' || m.id.length > 512 ? 'unknown' : m.id,
    time: Number.isSafeInteger(m.time) && m.time > 0 && m.time <= latest ? m.time : now,
    key: m.key !== null && m.key !== '' && m.key.length <= 512 && belongs(m.key) ? m.key : null,
    meta: m.meta !== null && isObject(m.meta) ? m.meta : null,
    // Text that is not JSON is kept as bytes, which need not be any.
    body: typeof body === 'string' && !isJson(body) ? new TextEncoder().encode(body) : body,
  }
}

/** Year 9999. */
const latest = 253_402_300_799_999

function isJson(text: string): boolean {
  return parsed(text) !== undefined
}

function isObject(text: string): boolean {
  const value = parsed(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
