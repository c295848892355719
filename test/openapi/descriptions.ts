import { readdirSync, readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import { fileOf } from '#cli/add/file.ts'
import { modelOf, type Options } from '#cli/add/generate.ts'
import type { Model } from '#cli/add/model.ts'
import { readText } from '#cli/add/read.ts'

const folder = new URL('data/', import.meta.url)

/** Descriptions that have operations, as text, by file name. */
export const descriptions: readonly string[] = readdirSync(folder).filter(
  (name) => /\.(?:json|yaml|br)$/.test(name) && !/arazzo|fixtures|Notification|webhook-example|github/.test(name),
)

export function text(name: string): string {
  const bytes = readFileSync(new URL(name, folder))
  return (name.endsWith('.br') ? brotliDecompressSync(bytes) : bytes).toString('utf8')
}

export function json(name: string): unknown {
  return JSON.parse(text(name))
}

export type Generated = { readonly model: Model; readonly code: string }

/** The file that a description becomes, as `fairlead add` writes it. */
export function generate(name: string, description: string, options: Options = { all: true }): Generated {
  const root = `file:///${name}`
  const model = modelOf({ root, all: new Map([[root, readText(description, name)]]) }, name, options)
  return { model, code: fileOf(name, model, { source: name, sha256: '0', command: 'fairlead add' }) }
}

/** As `generate`, of a document that a test made up: what is not about the test is filled in. */
export function made(document: Readonly<Record<string, unknown>>, options?: Options): Generated {
  const whole = { openapi: '3.1.0', info: { title: 'Made up', version: '1' }, servers: [{ url: 'https://api.test' }] }
  return generate('made', JSON.stringify({ ...whole, ...document }), options)
}
