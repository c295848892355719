import { fault } from '#kernel/fault.ts'

/**
 * What is needed of a loaded `.proto`: the shape of protobufjs's `Root`, which the user loads and hands over (`await
 * protobuf.load('stock.proto')`). No package is imported for it.
 */
export type ProtoRoot = { lookupService(path: string): { readonly methods: Readonly<Record<string, ProtoMethod>> } }

export type ProtoMethod = {
  readonly requestStream?: boolean | undefined
  readonly responseStream?: boolean | undefined
  readonly options?: Readonly<Record<string, unknown>> | undefined
  readonly resolvedRequestType: ProtoType | null
  readonly resolvedResponseType: ProtoType | null
  resolve(): unknown
}

/** Methods are called on the type itself, whose arguments protobufjs declares with its own classes. */
export type ProtoType = {
  readonly fields: Readonly<Record<string, unknown>>
  fromObject(object: { [name: string]: unknown }): unknown
  encode(message: never): { finish(): Uint8Array }
  decode(bytes: Uint8Array): unknown
  toObject(message: never, options: object): { [name: string]: unknown }
}

export type Method = {
  readonly request: ProtoType
  readonly response: ProtoType
  readonly streams: boolean
  /** `idempotency_level` says that it may be repeated. */
  readonly natural: boolean
}

/** The method of a line (`'POST /shop.Stock/Get'`), or what is wrong. */
export function methodOf(root: unknown, http: unknown): Method | { readonly problem: string } {
  const [, service, name] = /^POST \/([\w.]+)\/(\w+)$/.exec(typeof http === 'string' ? http : '') ?? []
  if (service === undefined || name === undefined)
    return { problem: "does not go with a line that is not 'POST /package.Service/Method'" }
  if (!isRoot(root)) return { problem: 'is not the root of a loaded .proto' }
  let method: ProtoMethod | undefined
  try {
    const { methods } = root.lookupService(service)
    method = Object.hasOwn(methods, name) ? methods[name] : undefined
    method?.resolve()
  } catch {
    return { problem: `has no service ${service}, or a type of it is missing` }
  }
  const { resolvedRequestType: request, resolvedResponseType: response } = method ?? {}
  if (!method || !request || !response) return { problem: `has no method ${name} in ${service}` }
  if (method.requestStream) return { problem: `has ${name} with a stream of requests, which is not supported` }
  const level = method.options?.['idempotency_level']
  return {
    request,
    response,
    streams: method.responseStream === true,
    natural: level === 'NO_SIDE_EFFECTS' || level === 'IDEMPOTENT',
  }
}

function isRoot(root: unknown): root is ProtoRoot {
  return (
    typeof root === 'object' && root !== null && 'lookupService' in root && typeof root.lookupService === 'function'
  )
}

/** The message of an object, in its frame of five bytes. Throws `schema.invalid`. */
export function framed(type: ProtoType, value: Readonly<Record<string, unknown>>): Uint8Array {
  let message: Uint8Array
  try {
    // The casts are true by fromObject: what it returns is what encode takes.
    message = type.encode(type.fromObject({ ...value }) as never).finish()
  } catch (cause) {
    const text = 'the input cannot be written as the message of the method'
    throw fault('schema.invalid', { message: text, detail: { issues: [{ path: '', message: text }] }, cause })
  }
  const frame = new Uint8Array(5 + message.byteLength)
  new DataView(frame.buffer).setUint32(1, message.byteLength)
  frame.set(message, 5)
  return frame
}

/** The object of a message: defaults filled in, 64-bit numbers as text, enums by name. Throws what the library throws. */
export function unpacked(type: ProtoType, message: Uint8Array): Readonly<Record<string, unknown>> {
  return type.toObject(type.decode(message) as never, {
    longs: String,
    enums: String,
    defaults: true,
    arrays: true,
    objects: true,
  })
}
