import assert from 'node:assert/strict'
import { test } from 'node:test'
import { options } from './options.ts'

test('without arguments it is seed 1 with 400 messages that stays up', () => {
  assert.deepEqual(options([]), { once: false, crash: false, seed: 1, messages: 400 })
})

test('takes every option', () => {
  assert.deepEqual(options(['--once', '--crash', '--seed', '7', '--messages', '50']), {
    once: true,
    crash: true,
    seed: 7,
    messages: 50,
  })
  assert.deepEqual(options(['--help']), { help: true })
})

test('says what is wrong with an option that is unknown, out of range, not a number or alone', () => {
  const wrong = (...args: string[]): string => {
    const parsed = options(args)
    return 'wrong' in parsed ? parsed.wrong : 'accepted'
  }
  assert.match(wrong('--onec'), /--onec/)
  assert.match(wrong('--messages', '9'), /--messages takes a whole number from 10 to 5000/)
  assert.match(wrong('--messages', '5001'), /--messages/)
  assert.match(wrong('--seed', 'x'), /--seed takes a whole number/)
  assert.match(wrong('--seed'), /--seed/)
  assert.match(wrong('extra'), /extra/)
})
