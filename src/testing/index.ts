export { harness, type Harness, type HarnessOptions, type LogLine } from './harness.ts'
export { cut, hang, refused, reply, type Reply } from './replies.ts'
export { virtualClock, type VirtualClock } from './clock.ts'
export { seededRandom } from './random.ts'
