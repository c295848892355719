/** A real Redis for benches, as durable as it gets: an append-only file that is synced before each answer. */
import { freePorts, installed, serverFolder, startServer, type Server } from './process.ts'

/** Why there is none here; undefined: there is one. */
export function redisAbsent(): string | undefined {
  return installed('redis-server') ? undefined : 'redis-server is not installed (tools/servers/install.sh)'
}

export async function startRedis(): Promise<Server> {
  const [port = 0] = await freePorts(1)
  const folder = serverFolder('redis')
  const settings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return startServer({ name: 'Redis', port, folder, commands: [['redis-server', ...flags]] })
}
