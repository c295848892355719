import assert from 'node:assert/strict'
import { BlockList } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { isPublicAddress, parseNetwork } from './address.ts'

test('takes addresses of the public internet', () => {
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.1',
    '169.253.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.0',
    '198.20.0.0',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2001:200::1',
    '2a00:1450:4001:81b::200e',
    '::ffff:8.8.8.8',
    '::ffff:808:808',
    '64:ff9b::8.8.8.8',
  ]) {
    assert.equal(isPublicAddress(address), true, address)
  }
})

test('refuses everything that leads home, in whatever clothes', () => {
  for (const address of [
    '0.0.0.0',
    '10.0.0.1',
    '100.100.100.200',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.168.1.1',
    '198.19.255.255',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:10.0.0.1',
    '0:0:0:0:0:ffff:a9fe:a9fe',
    '64:ff9b::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::8.8.8.8',
    '2001:0:53aa:64c:0:7cff:80ff:fffe',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:808:808::',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '100::1',
    '5f00::1',
  ]) {
    assert.equal(isPublicAddress(address), false, address)
  }
})

test('refuses what is not an address in its usual spelling', () => {
  for (const text of [
    '',
    'localhost',
    'example.com',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '127.1',
    '010.8.8.8',
    '8.8.8.08',
    '8.8.8',
    '8.8.8.8.8',
    '8.8.8.256',
    ' 8.8.8.8',
    '8.8.8.8 ',
    '８.8.8.8',
    '[2606:4700::1]',
    '2606:4700::1::1',
    '2606:4700:1',
    '1:2:3:4:5:6:7:8:9',
    '1::2:3:4:5:6:7:8',
    ':::',
    '2606:4700::g',
    '2606:4700::8.8.8',
    '8.8.8.8:80',
  ]) {
    assert.equal(isPublicAddress(text), false, JSON.stringify(text))
  }
})

test('a network that was allowed counts as public, and nothing beside it', () => {
  const allowed = ['10.2.0.0/16', 'fd00:1::/32', '192.168.7.7'].map((n) => parseNetwork(n)!)
  const may = (address: string): boolean => isPublicAddress(address, allowed)
  assert.deepEqual(
    ['10.2.255.1', '::ffff:10.2.0.1', '64:ff9b::10.2.0.1', 'fd00:1:2::3', '192.168.7.7', '8.8.8.8'].filter(
      (a) => !may(a),
    ),
    [],
  )
  assert.deepEqual(['10.3.0.1', '10.1.255.255', 'fd00:2::1', '192.168.7.8', '127.0.0.1'].filter(may), [])
  for (const wrong of [
    '',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0/8',
    'localhost',
    '::1/x',
  ]) {
    assert.equal(parseNetwork(wrong), undefined, wrong)
  }
})

test('agrees with another implementation about which network an address is in', () => {
  const byte = fc.nat(255)
  fc.assert(
    fc.property(fc.tuple(byte, byte, byte, byte), fc.tuple(byte, byte, byte, byte), fc.nat(32), (a, n, bits) => {
      const list = new BlockList()
      list.addSubnet(n.join('.'), bits, 'ipv4')
      // An address that is not public by itself, so that only the network can make it so.
      const home = ['10', ...a.slice(1)].join('.')
      assert.equal(isPublicAddress(home, [parseNetwork(`${n.join('.')}/${bits}`)!]), list.check(home))
    }),
  )
  const word = fc.nat(0xffff)
  const eight = fc.array(word, { minLength: 8, maxLength: 8 })
  fc.assert(
    fc.property(eight, eight, fc.integer({ min: 1, max: 128 }), fc.nat(8), (a, n, bits, shared) => {
      const spell = (words: readonly number[]): string => words.map((w) => w.toString(16)).join(':')
      const home = [0xfd00, ...n.slice(1, shared), ...a.slice(Math.max(shared, 1))].slice(0, 8)
      const net = spell([0xfd00, ...n.slice(1)])
      const list = new BlockList()
      list.addSubnet(net, bits, 'ipv6')
      assert.equal(isPublicAddress(spell(home), [parseNetwork(`${net}/${bits}`)!]), list.check(spell(home), 'ipv6'))
    }),
  )
})
