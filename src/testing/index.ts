export { harness, type Harness, type HarnessOptions, type LogLine } from './harness.ts'
export {
  cassette,
  type Cassette,
  type CassetteChange,
  type CassetteMode,
  type CassetteOptions,
} from './cassette/cassette.ts'
export { cut, hang, refused, reply, type Reply } from './reply.ts'
export type { ChaosRule } from '#app/http/chaos.ts'
export { stream, type StreamReply } from './stream-replies.ts'
export { virtualClock, type VirtualClock } from './clock.ts'
export { seededRandom } from './random.ts'
export { faultProxy, type Direction, type FaultProxy, type FaultProxyOptions, type ProxyCounts } from './proxy.ts'
export type { WireEnd, WireFaults } from './wire.ts'
