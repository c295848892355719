/**
 * A real RabbitMQ for benches, with nothing of the system's own: folders, cookie, node name, ports and port mapper (epmd)
 * are this server's. Starts in about 5 s.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { freePorts, installed, serverFolder, startServer, type Server } from './process.ts'

/** The script itself: what stands in the path as `rabbitmq-server` insists on the system's user and folders. */
const script = '/usr/lib/rabbitmq/bin/rabbitmq-server'

/** Why there is none here; undefined: there is one. */
export function rabbitmqAbsent(): string | undefined {
  return existsSync(script) && installed('epmd')
    ? undefined
    : 'rabbitmq-server is not installed (tools/servers/install.sh)'
}

export async function startRabbitmq(): Promise<Server> {
  const [port = 0, distribution = 0, mapper = 0] = await freePorts(3)
  const folder = serverFolder('rabbitmq')
  const at = (name: string): string => join(folder, name)
  writeFileSync(at('rabbitmq.conf'), `listeners.tcp.default = 127.0.0.1:${port}\n`)
  writeFileSync(at('enabled_plugins'), '[].\n')
  return startServer({
    name: 'RabbitMQ',
    port,
    folder,
    commands: [['epmd', '-address', '127.0.0.1', '-port', String(mapper)], [script]],
    env: {
      ERL_EPMD_PORT: String(mapper),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `fairlead${process.pid}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
      RABBITMQ_CONFIG_FILE: at('rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: at('absent'),
      RABBITMQ_ENABLED_PLUGINS_FILE: at('enabled_plugins'),
      RABBITMQ_MNESIA_BASE: at('mnesia'),
      RABBITMQ_LOG_BASE: at('log'),
      RABBITMQ_PID_FILE: at('pid'),
      RABBITMQ_LOGS: '-',
    },
  })
}
