/** Words that cannot name a constant, or would hide something that the file uses. */
const constants: ReadonlySet<string> = new Set(
  (
    'arguments as async await boolean break case catch class const continue debugger default delete do else enum eval export ' +
    'extends false finally for from function get if implements import in instanceof interface let module new null number ' +
    'object of package private protected public return set static string super switch symbol this throw true try type ' +
    'typeof undefined unknown never any bigint var void while with yield z process connection secret bearer basic apiKey open ' +
    'Uint8Array Date RegExp Array Object String Number Boolean Symbol Promise Record Partial Function Error Map Set'
  ).split(' '),
)

const most = 50

/** `issues/list-for-repo` → `issuesListForRepo`. ASCII letters and digits only; undefined when none is left. */
export function camel(text: string): string | undefined {
  const words = wordsOf(text)
  const name = words.map((w, i) => (i === 0 ? lowerFirst(w) : upperFirst(w))).join('')
  return name === '' ? undefined : safe(name.slice(0, most), 'op')
}

/** `payment_intent` → `PaymentIntent`. */
export function pascal(text: string): string | undefined {
  const name = wordsOf(text).map(upperFirst).join('')
  return name === '' ? undefined : safe(name.slice(0, most), 'T')
}

function wordsOf(text: string): string[] {
  return text
    .slice(0, 400)
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .split(/[^A-Za-z0-9]+/)
    .filter((w) => w !== '')
}

function safe(name: string, prefix: string): string {
  return /^\d/.test(name) ? prefix + name : name
}

/** `GetCharges` → `getCharges`, `HTTPSend` → `httpSend`, `ID` → `id`. */
function lowerFirst(word: string): string {
  const caps = /^[A-Z]+(?=[A-Z][a-z]|$|\d)/.exec(word)?.[0] ?? word[0]!
  return caps.toLowerCase() + word.slice(caps.length)
}

function upperFirst(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1)
}

/** Gives each name once: the second `charge` is `charge2`. Names that differ only in case are kept apart too. */
export class Names {
  readonly #used = new Set<string>()
  /** Where to go on counting: a document may use one name a thousand times. */
  readonly #next = new Map<string, number>()
  readonly #reserved: ReadonlySet<string>

  constructor(reserved: ReadonlySet<string> = constants) {
    this.#reserved = reserved
  }

  take(wanted: string, ending = ''): string {
    let name = wanted + ending
    let n = this.#next.get(name) ?? 2
    for (; this.#reserved.has(name) || this.#used.has(name.toLowerCase()); n++) name = `${wanted}${n}${ending}`
    this.#next.set(wanted + ending, n)
    this.#used.add(name.toLowerCase())
    return name
  }
}

/** `STRIPE_API` of `stripe-api`: the beginning of the names of its environment variables. */
export function environment(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_')
}
