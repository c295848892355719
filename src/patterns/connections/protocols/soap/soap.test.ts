import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { fairlead } from '#app/fairlead.ts'
import { isFault, type Fault } from '#kernel/fault.ts'
import { cut, harness, reply, type Harness } from '#testing/index.ts'
import { connection } from '../../define.ts'
import { fillTemplate, readTemplate } from './template.ts'
import { parseXml } from './xml.ts'

const s11 = 'http://schemas.xmlsoap.org/soap/envelope/'
const s12 = 'http://www.w3.org/2003/05/soap-envelope'
const envelope = (space: string, body: string): string =>
  `<s:Envelope xmlns:s="${space}"><s:Body>${body}</s:Body></s:Envelope>`

const Line = z.object({ Sku: z.string(), Qty: z.coerce.number() })
const stock = connection('stock', {
  baseUrl: 'https://stock.test',
  retry: { attempts: 1, first: '1s', jitter: 'none' },
  operations: {
    order: {
      http: 'POST /service',
      soap: {
        envelope: envelope(s11, '<GetOrder xmlns="urn:shop" kind="{kind}"><Id>{id}</Id></GetOrder>'),
        action: 'urn:shop/GetOrder',
        result: 'GetOrderResponse/Order',
        lists: ['Lines/Line'],
      },
      idempotent: 'natural',
      input: z.object({ id: z.string(), kind: z.string() }),
      output: z.object({
        Id: z.string(),
        Lines: z.object({ Line: z.array(Line) }),
        Note: z.string().nullable().optional(),
      }),
    },
    place: {
      http: 'POST /service',
      soap: {
        envelope: envelope(s12, '<m:Place xmlns:m="urn:shop">{#lines}<Line><Sku>{sku}</Sku></Line>{/lines}</m:Place>'),
        action: 'urn:shop/Place',
      },
      input: z.object({ lines: z.array(z.object({ sku: z.string() })) }),
    },
  },
})

const setup = (): Promise<Harness> => harness({ use: [stock] })
const failed = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    (v) => assert.fail(`it succeeded: ${JSON.stringify(v)}`),
    (e: unknown) => (assert.ok(isFault(e), String(e)), e),
  )
const xml = (status: number, body: string): ReturnType<typeof reply> =>
  reply(status, body, { 'content-type': 'text/xml' })

test('fills the envelope with escaped values, and gives what is declared as the result', async () => {
  await using t = await setup()
  t.answer(stock.order, { Id: '1', Lines: { Line: [{ Sku: 'a', Qty: 2 }] }, Note: null })
  const order = await t.call(stock.order, { id: '</Id><Id>2 & "\'', kind: '"><x y="' })
  assert.deepEqual(order, { Id: '1', Lines: { Line: [{ Sku: 'a', Qty: 2 }] }, Note: null })
  const [sent] = t.requests(stock.order)
  assert.deepEqual(
    [sent!.headers['content-type'], sent!.headers['soapaction'], sent!.headers['accept']],
    ['text/xml; charset=utf-8', '"urn:shop/GetOrder"', 'text/xml'],
  )
  assert.deepEqual(t.called(stock.order), [{ '@kind': '"><x y="', Id: '</Id><Id>2 & "\'' }])
  t.answer(stock.place, {})
  await t.call(stock.place, { lines: [{ sku: 'a' }, { sku: 'b' }] })
  const [placed] = t.requests(stock.place)
  assert.equal(placed!.headers['content-type'], 'application/soap+xml; charset=utf-8; action="urn:shop/Place"')
  assert.equal(placed!.headers['soapaction'], undefined)
  assert.match(placed!.body as string, /<Line><Sku>a<\/Sku><\/Line><Line><Sku>b<\/Sku><\/Line>/)
})

test('a fault is one under any status, by its code', async () => {
  await using t = await setup()
  const fault11 = (code: string): string =>
    envelope(s11, `<s:Fault><faultcode>${code}</faultcode><faultstring>hunter2</faultstring></s:Fault>`)
  const fault12 = (code: string, sub = ''): string =>
    envelope(
      s12,
      `<s:Fault><s:Code><s:Value>s:${code}</s:Value>${sub}</s:Code><s:Reason><s:Text xml:lang="en">hunter2</s:Text></s:Reason></s:Fault>`,
    )
  const sub = (code: string): string => `<s:Subcode><s:Value xmlns:w="urn:w">w:${code}</s:Value></s:Subcode>`
  for (const [status, body, code, names] of [
    [500, fault11('s:Client'), 'connection.rejected', ['Client']],
    [200, fault11('s:Client.Bad'), 'connection.rejected', ['Client.Bad']],
    [500, fault11('wsse:FailedAuthentication'), 'connection.credential', ['FailedAuthentication']],
    [400, fault12('Sender', sub('Unknown')), 'connection.rejected', ['Sender', 'Unknown']],
    [500, fault12('Sender', sub('InvalidSecurityToken')), 'connection.credential', ['Sender', 'InvalidSecurityToken']],
    [500, fault12('MustUnderstand'), 'connection.rejected', ['MustUnderstand']],
    [200, fault11('s:Server'), 'connection.unverified', ['Server']],
    [500, fault12('Receiver'), 'connection.unverified', ['Receiver']],
    [503, '<html>', 'connection.unavailable', undefined],
  ] as const) {
    t.answer(stock.place, xml(status, body))
    const work = failed(t.call(stock.place, { lines: [] }))
    await t.advance('3s')
    const f = await work
    assert.deepEqual([f.code, f.detail['fault']], [code, names], body)
    assert.ok(!JSON.stringify(f).includes('hunter2'))
  }
})

test('a fault of the server is repeated where the operation may be, as is a cut', async () => {
  await using t = await setup()
  const failure = xml(500, envelope(s11, '<s:Fault><faultcode>s:Server</faultcode></s:Fault>'))
  t.answer(stock.order, failure, { Id: '1', Lines: {} })
  const order = t.call(stock.order, { id: '1', kind: 'k' })
  await t.advance('2s')
  assert.deepEqual((await order).Lines, { Line: [] })
  t.answer(stock.place, cut)
  const placed = failed(t.call(stock.place, { lines: [] }))
  await t.advance('5s')
  assert.equal((await placed).code, 'connection.unverified')
  assert.equal(t.requests(stock.place).length, 1)
})

test('refuses an answer that is no envelope, and does not ask again', async () => {
  await using t = await setup()
  const bad: [string | Uint8Array, string, string][] = [
    ['<html><br></html>', 'text/html', 'xml'],
    ['<html/>', 'text/html', 'shape'],
    ['', 'text/xml', 'xml'],
    [envelope(s11, '<a>').slice(0, 80), 'text/xml', 'xml'],
    [envelope('urn:other', ''), 'text/xml', 'shape'],
    [`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${envelope(s11, '&e;')}`, 'text/xml', 'xml'],
    [
      envelope(s11, '<GetOrderResponse><Order><Id>1</Id></Order></GetOrderResponse>').replace('1', '\u00e9'),
      'text/xml; charset=ebcdic',
      'encoding',
    ],
    [envelope(s11, '<GetOrderResponse/>'), 'text/xml', 'shape'],
    [envelope(s11, '<GetOrderResponse><Order><__proto__/></Order></GetOrderResponse>'), 'text/xml', 'xml'],
  ]
  for (const [body, type, reason] of bad) {
    t.answer(stock.order, reply(200, body, { 'content-type': type }))
    const f = await failed(t.call(stock.order, { id: '1', kind: 'k' }))
    assert.deepEqual([f.code, f.detail['reason']], ['connection.response', reason], String(body))
  }
  assert.equal(t.requests(stock.order).length, bad.length)
})

test('its record is masked by the names of elements and attributes', async () => {
  await using t = await setup()
  t.answer(
    stock.place,
    xml(
      200,
      envelope(
        s12,
        '<r xmlns:w="urn:w" apiKey="hunter2"><w:Password Type="x">hun<b>ter2</b>hunter2</w:Password><ok>yes</ok></r>',
      ),
    ),
  )
  await t.call(stock.place, { lines: [{ sku: 'a@b.example' }] })
  const text = JSON.stringify((await t.app.operations.calls({}))[0])
  assert.ok(!text.includes('hunter2') && !text.includes('ter2') && !text.includes('a@b.example'), text)
  assert.match(text, /<ok>yes<\/ok>/)
})

test('a template repeats sections, looks outwards for names, and leaves out what is absent', () => {
  const template = readTemplate(
    '<a b="{x}">{#list}<i n="{n}" x="{x}">{.}</i>{/list}{#one}<o>{deep.er}</o>{/one}{#off}<no/>{/off}</a>',
  )
  assert.ok(!('problem' in template))
  assert.deepEqual([...template.names], ['x', 'list', 'one', 'off'])
  assert.equal(
    fillTemplate(template, { x: 1, n: true, list: ['<', 2n], one: { deep: { er: new Date(0) } }, off: null }),
    '<a b="1"><i n="true" x="1">&#60;</i><i n="true" x="1">2</i><o>1970-01-01T00:00:00.000Z</o></a>',
  )
  for (const [input, path] of [
    [{}, 'x'],
    [{ x: {} }, 'x'],
    [{ x: '\u0000' }, 'x'],
    [{ x: '\ud800' }, 'x'],
    [{ x: Number.NaN }, 'x'],
    [{ x: 1, n: 1, list: ['a', {}] }, 'list[1]'],
    [{ x: 1, one: { deep: {} } }, 'one.deep.er'],
  ] as const) {
    assert.throws(
      () => fillTemplate(template, input),
      (e) => isFault(e, 'schema.invalid') && (e.detail['issues'] as { path: string }[])[0]!.path === path,
      path,
    )
  }
  const odd = readTemplate('<a>{constructor}</a>')
  assert.ok(!('problem' in odd))
  assert.throws(() => fillTemplate(odd, {}), /constructor/)
  assert.equal(parseXml(fillTemplate(template, { x: '"/><evil a="' })).children.length, 0)
})

test('refuses at start what is wrong with an envelope, all at once', async () => {
  const op = (soap: object, more: object = {}) => ({ http: 'POST /s', soap: soap as never, ...more })
  const wrong = connection('wrong', {
    baseUrl: 'https://stock.test',
    operations: {
      a: op({ envelope: '<a>{x}</a>' }),
      b: op({ envelope: envelope(s11, '<{x}/>') }),
      c: op({ envelope: envelope(s11, '<a {x}="1"/>'), action: 'a"b', lists: 'x', result: '/a' }),
      d: op({ envelope: envelope(s11, '<!-- {x} --><a>{#y}</a>') }),
      e: op({ envelope: envelope(s11, '{#x}<a/>') }),
      f: op({ envelope: envelope(s11, '<a>{x}</a>') }, { input: z.object({ y: z.string() }), answer: 'text' }),
      g: op({ envelope: envelope(s11, '<a>{__proto__}</a>'), version: '1.1' }),
      h: { http: 'GET /s', soap: { envelope: envelope(s11, '<a/>') } },
    },
  })
  const error: unknown = await fairlead({ use: [wrong] }).then(
    () => assert.fail('it started'),
    (e: unknown) => e,
  )
  assert.ok(isFault(error, 'config.invalid'))
  const at = (error.detail['problems'] as { path: string; message: string }[]).map(
    (p) =>
      `${p.path.replace('connection(wrong).operations.', '').replace('.soap', '')} ${p.message.replace(/:.*/, '')}`,
  )
  assert.deepEqual(at.toSorted(), [
    'a.envelope is no envelope of SOAP 1.1 or 1.2 with a Body',
    'b.envelope has a slot in a name',
    'c.action is not an action',
    'c.envelope has a slot in a name',
    'c.lists is not a list of paths',
    'c.result is not a path',
    'd.envelope has a slot in a comment, a CDATA section or the declaration',
    'e.envelope does not close {#x}',
    'f has no use for `answer`',
    'f.envelope has no slot {y}, which the input has',
    'f.envelope uses {x}, which the input does not have',
    'g.envelope has a slot that could reach a prototype',
    'g.version unknown option',
    'h does not go with GET',
  ])
})
