import { isShortened, joinName, joinResultUris, joinUri, splitName, splitUri } from '@mcp-gateway/wire'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const serverId = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/)

describe('joinName', () => {
  it('split(join(server, name)) ≡ (server, name), while the whole fits', () => {
    fc.assert(
      fc.property(serverId, fc.stringMatching(/^[A-Za-z0-9_.-]{1,30}$/), (id, name) => {
        expect(splitName(joinName(id, name))).toEqual({ serverId: id, name })
      }),
    )
  })
  it('is never longer than 64 characters and always names its server', () => {
    fc.assert(
      fc.property(serverId, fc.string({ maxLength: 300 }), (id, name) => {
        const joined = joinName(id, name)
        expect(joined.length).toBeLessThanOrEqual(64)
        expect(splitName(joined)?.serverId).toBe(id)
        if (`${id}__${name}`.length > 64) expect(isShortened(joined)).toBe(true)
      }),
    )
  })
  it('tells long names with the same beginning apart, the same way every time', () => {
    const long = 'a'.repeat(100)
    expect(joinName('s', `${long}1`)).not.toBe(joinName('s', `${long}2`))
    expect(joinName('s', `${long}1`)).toMatchInlineSnapshot(
      `"s__aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_59579c4e"`,
    )
  })
})

describe('joinUri', () => {
  it('split(join(server, uri)) ≡ (server, uri)', () => {
    fc.assert(
      fc.property(serverId, fc.webUrl(), (id, uri) => {
        expect(splitUri(joinUri(id, uri))).toEqual({ serverId: id, uri })
        expect(URL.canParse(joinUri(id, uri))).toBe(true)
      }),
    )
  })
  it('reaches links, embedded resources, prompt messages and contents, and nothing else', () => {
    const result = {
      content: [
        { type: 'resource_link', uri: 'a:1', name: 'x' },
        { type: 'resource', resource: { uri: 'a:2', text: 'a:2' } },
        { type: 'text', text: 'a:3', uri: 'a:3' },
      ],
      messages: [{ role: 'user', content: { type: 'resource', resource: { uri: 'a:4' } } }],
      contents: [{ uri: 'a:5', blob: '' }],
      structuredContent: { uri: 'a:6' },
    }
    expect(joinResultUris('s', result)).toEqual({
      content: [
        { type: 'resource_link', uri: 's+a:1', name: 'x' },
        { type: 'resource', resource: { uri: 's+a:2', text: 'a:2' } },
        { type: 'text', text: 'a:3', uri: 'a:3' },
      ],
      messages: [{ role: 'user', content: { type: 'resource', resource: { uri: 's+a:4' } } }],
      contents: [{ uri: 's+a:5', blob: '' }],
      structuredContent: { uri: 'a:6' },
    })
  })
})
