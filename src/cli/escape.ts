/**
 * Text from outside as it may be shown on a terminal: what was stored must not drive it. Escaped are the C0 and C1 controls
 * (ESC, CR, BEL …), what turns the direction of reading (U+202A–202E, U+2066–2069, marks), line and paragraph separators,
 * and halves of surrogate pairs. Line feed becomes `\n`, so one value stays on one line. All other text is unchanged.
 */
export function escapeControls(text: string): string {
  return text.replace(unsafe, escape)
}

const unsafe =
  // oxlint-disable-next-line no-control-regex -- controls are what this is about
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escape(character: string): string {
  const code = character.charCodeAt(0)
  return short[character] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`)
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}

/** As `escapeControls`, but line feeds stay: for text of several lines, each of which is somebody else's. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n')
}
