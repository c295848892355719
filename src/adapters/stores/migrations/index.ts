import { spine } from './0001-spine.ts'
import { checksums } from './0002-checksums.ts'

/** One step of the schema, both dialects side by side. Never edited once released: a change is a new number. */
export type Migration = { readonly level: number; readonly sqlite: string; readonly postgres: string }

export const migrations: readonly Migration[] = [spine, checksums]

/** The level that this code was written for. An older worker beside a newer store stops leasing and says so. */
export const schemaLevel: number = migrations.at(-1)!.level
