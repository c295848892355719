import { test } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { storeConformance } from '../conformance.ts'
import { storeProperty } from '../conformance/property.fixture.ts'
import { inSchema } from './open.fixture.ts'

const clock = virtualClock()
storeConformance('postgres', () => inSchema(clock), clock, ['one writer'])

test('any sequence of units from two processes, with reopening in between, gives what the model gives, on PostgreSQL', () =>
  storeProperty(inSchema, virtualClock, 12))
