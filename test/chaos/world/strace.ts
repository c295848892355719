import { spawnSync } from 'node:child_process'

/** Why a tool of the operating system cannot be used here; undefined when it can. */
export function lackingTool(tool: string, ...args: readonly string[]): string | undefined {
  const { status } = spawnSync(tool, args, { stdio: 'ignore' })
  return status === 0 ? undefined : `this machine does not let us run ${tool} ${args.join(' ')}`
}

/** Everything by which the store changes its files, or makes the change durable. */
const calls = 'pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat2,fallocate'

/**
 * A program in front of an engine that does `fault` to the n-th of these calls upon the files of the store (`when`: strace's own
 * words, `7`, `7+`, `7..20`), and writes what it did into `record`.
 */
export function injecting(of: {
  readonly address: string
  readonly fault: string
  readonly when: string
  readonly record: string
  readonly calls?: string
}): readonly string[] {
  const traced = of.calls ?? calls
  const files = ['', '-wal', '-shm', '-journal'].flatMap((suffix) => ['-P', `${of.address}${suffix}`])
  const inject = ['-e', `trace=${traced}`, '-e', `inject=${traced}:${of.fault}:when=${of.when}`]
  return ['strace', '-f', '-qq', '-o', of.record, ...files, ...inject, '-e', 'signal=none']
}

/** One thread for the file system, so that the order of its syncs is that of the calls. */
export const orderly = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' }
