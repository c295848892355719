import { phonePlans, type PhonePlan } from './phone-plans.ts'

/** Text and the ISO region to read it in (`KE`; undefined when none was declared) → E.164, or undefined when unsure. */
export type PhoneNormaliser = (text: string, country: string | undefined) => string | undefined

/** Longer texts are not one phone number. */
const longest = 64
const extension = /(?:;ext=|\s*(?:ext\.?|x|#)\s*)\d{1,7}$/i

/** The plan of `KE`, `ke` or `+254` (the main region of the code); undefined when there is none. */
export function phonePlan(country: string): PhonePlan | undefined {
  const code = /^\+([1-9]\d{0,2})$/.exec(country)?.[1]
  return code ? phonePlans().byCode[Number(code)] : phonePlans().byRegion.get(country.toUpperCase())
}

/**
 * A phone number in E.164 (`+254712345678`), or undefined.
 *
 * Reads `+`, `tel:` and the country's own international prefix (`00`, `011`, `0011`, `810` …), drops the trunk prefix
 * (`0`, in Hungary `06`, in Russia `8`) except where the zero belongs to the number (Italy), accepts spaces, `-`, `.`,
 * `( )`, one `/` after an area code, Arabic-Indic and full-width digits, and drops an extension. It knows calling codes,
 * trunk prefixes and lengths, not which ranges are assigned: a well-formed number that nobody has passes. Anything it
 * is not sure about is undefined, never a guess. For assigned ranges inject libphonenumber (`mapping(…, { phone })`).
 *
 * Source: ITU-T E.164, RFC 3966 §3, and the plans in `phone-plans.ts`.
 */
export function normalisePhone(text: string, country?: string): string | undefined {
  return readPhone(text, country === undefined ? undefined : phonePlan(country))
}

export function readPhone(text: string, home: PhonePlan | undefined): string | undefined {
  if (text.length > longest) return undefined
  let digits = ''
  let run = -1
  let plus = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 48 && c <= 57) {
      if (run < 0) run = i
      continue
    }
    if (run >= 0) {
      digits += text.slice(run, i)
      run = -1
    }
    // 32 space, 40 ( , 41 ), 45 -, 46 ., 160 no-break space
    if (c === 32 || c === 45 || c === 40 || c === 41 || c === 46 || c === 160) continue
    if (c === 43 && !plus && digits === '') plus = true
    // "030/1234567" is one number, "0712345678/0733…" is two
    else if (c === 47 && digits.length <= 5 && digits !== '') continue
    else return unusual(text, home)
  }
  if (run === 0) digits = text
  else if (run > 0) digits += text.slice(run)
  if (plus) return international(digits)
  return home === undefined ? undefined : national(digits, home)
}

/** What the fast loop does not know: tel: URIs, extensions, other scripts' digits and dashes. At most one rewrite. */
function unusual(text: string, home: PhonePlan | undefined): string | undefined {
  const plain = text
    .trim()
    .replace(/^tel:/i, '')
    .replace(extension, '')
    .replace(/[\u0660-\u0669\u06f0-\u06f9\uff10-\uff19]/g, (d) =>
      String((d.charCodeAt(0) - (d < '\uff00' ? 0x660 : 0xff10)) % 16),
    )
    .replace(/[\u2010-\u2015\u2212\u00ad\u200b-\u200f\u202a-\u202f\u2060]/g, '-')
    .replace(/\uff0b/, '+')
    .replace(/[\t\u2000-\u200a\u3000]/g, ' ')
  return plain === text ? undefined : readPhone(plain, home)
}

function international(digits: string): string | undefined {
  const { byCode } = phonePlans()
  let code = 0
  for (let n = 1; n <= 3 && n < digits.length; n++) {
    code = code * 10 + digits.charCodeAt(n - 1) - 48
    if (code === 0) return undefined
    const plan = byCode[code]
    // No calling code is the beginning of another one.
    if (plan) return subscriber(digits.slice(n), plan)
  }
  return undefined
}

function national(digits: string, home: PhonePlan): string | undefined {
  if (home.idd !== '' && digits.startsWith(home.idd)) return international(digits.slice(home.idd.length))
  // Kenya dials 000, and people write 00: no calling code begins with 0, so both can be read.
  if (digits.startsWith('00')) return home.idd === '000' ? international(digits.slice(2)) : undefined
  const number = subscriber(digits, home)
  // The calling code without its plus, unless that could be a national number too: then nobody can know.
  if (!digits.startsWith(home.prefix.slice(1))) return number
  const rest = digits.slice(home.prefix.length - 1)
  if (number === undefined) return subscriber(rest, home)
  if (home.trunk !== '' && rest.startsWith(home.trunk)) return undefined
  const other = subscriber(rest, home, home.lengths | home.others)
  return other === undefined || other === number ? number : undefined
}

function subscriber(digits: string, plan: PhonePlan, lengths = plan.lengths): string | undefined {
  const { trunk, prefix } = plan
  let number = digits
  if (trunk !== '' && digits.startsWith(trunk)) {
    // A trunk that begins with 0 is never part of the number. An 8 is in Russia alone, and a 1 is nowhere.
    if (trunk.charCodeAt(0) === 48 || !isLength(lengths, digits.length)) number = digits.slice(trunk.length)
    else if (prefix !== '+7') return undefined
  }
  if (!isLength(lengths, number.length) || prefix.length + number.length > 16) return undefined
  if (number.charCodeAt(0) === 48 && !plan.zero) return undefined
  if (plan.never !== '' && number.startsWith(plan.never)) return undefined
  // North America: neither area code nor exchange begins with 0 or 1.
  if (prefix === '+1' && (number.charCodeAt(0) < 50 || number.charCodeAt(3) < 50)) return undefined
  return prefix + number
}

function isLength(lengths: number, n: number): boolean {
  return n < 31 && ((lengths >> n) & 1) === 1
}
