import { virtualClock } from '#testing/clock.ts'
import { storeConformance } from '../conformance.ts'
import { inFile, inMemory } from './open.fixture.ts'

const clock = virtualClock()
storeConformance('sqlite in memory', () => inMemory(clock), clock, ['reopen', 'second'])
storeConformance('sqlite in a file', () => inFile(clock), clock)
