/** The fields of the checkout's package.json that matter to the published one. */
export type Manifest = {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly type: string
  readonly engines: Readonly<Record<string, string>>
  readonly keywords?: readonly string[]
  readonly repository?: unknown
  readonly homepage?: string
  readonly bugs?: unknown
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, unknown>>
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string>>
}

export type Published = Omit<Manifest, 'exports'> & {
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>
}

const kept = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'homepage',
  'repository',
  'bugs',
  'type',
  'engines',
  'dependencies',
  'peerDependencies',
  'peerDependenciesMeta',
] as const

/**
 * The published manifest: what users need, nothing of development, and every path moved from `./src/x.ts` to `./x.js`.
 * No `imports`: the build turns `#room/file.ts` into relative paths.
 */
export function published(manifest: Manifest): Published {
  const fields = Object.fromEntries(kept.flatMap((key) => (manifest[key] === undefined ? [] : [[key, manifest[key]]])))
  return {
    ...(fields as Pick<Manifest, (typeof kept)[number]>),
    bin: map(manifest.bin, (path) => compiled(path).slice('./'.length)),
    exports: map(manifest.exports, (path) => ({
      types: compiled(path).replace(/\.js$/, '.d.ts'),
      default: compiled(path),
    })),
  }
}

function compiled(path: string): string {
  if (!/^\.\/src\/.+\.ts$/.test(path)) throw new Error(`package.json: ${path} is not of the form ./src/….ts`)
  return path.replace('./src/', './').replace(/\.ts$/, '.js')
}

function map<T, U>(record: Readonly<Record<string, T>>, fn: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value)]))
}
