import { test } from 'node:test'
import { virtualClock } from '#testing/clock.ts'
import { storeProperty } from '../conformance/property.fixture.ts'
import { inFile, inMemory } from './open.fixture.ts'

test('any sequence of units gives what the model gives, in memory', () => storeProperty(inMemory, virtualClock, 300))

test('any sequence of units from two processes, with reopening in between, gives what the model gives', () =>
  storeProperty(inFile, virtualClock, 80))
