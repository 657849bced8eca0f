/**
 * What instructions to a model look like where only a description belongs ("tool poisoning", Invariant Labs 2025).
 * The adversary is whoever writes a server's tool definitions and results. A list of patterns finds the careless and the
 * copied ones; that a definition has changed since somebody approved it is found by pinning, which is the registry's.
 */

export type PoisoningRuleId =
  | 'override'
  | 'conceal'
  | 'hidden-tag'
  | 'chat-markers'
  | 'secret-files'
  | 'exfiltration'
  | 'shadowing'
  | 'invisible'
  | 'terminal'
  | 'encoded'
  | 'remote-image'
  | 'oversized'

export type PoisoningRule = {
  readonly id: PoisoningRuleId
  /** One sentence for the person who has to decide. */
  readonly reason: string
  /** Runs on text in lower case with single spaces. Every gap is bounded: the adversary writes what it runs on. */
  readonly pattern: RegExp
  /** Runs on the text as it is. */
  readonly raw?: true
}

export const POISONING_RULES: readonly PoisoningRule[] = [
  {
    id: 'override',
    reason: 'tells the model to disregard its instructions',
    pattern:
      /\b(?:ignore|disregard|forget|override|bypass)\b[^.]{0,40}\b(?:previous|prior|earlier|preceding|above|other|all|your|system|any)\b[^.]{0,30}\b(?:instructions?|prompts?|rules?|guidelines?|directives?|messages?|constraints?)\b/,
  },
  {
    id: 'conceal',
    reason: 'tells the model to hide something from the user',
    pattern:
      /\b(?:do not|don't|don’t|never|without|must not|should not|avoid)\b[^.]{0,30}\b(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|reveal|revealing|show|showing|disclose|alert|ask|asking)\b[^.]{0,30}\b(?:users?|humans?|anyone|anybody|person|customer)\b/,
  },
  {
    id: 'hidden-tag',
    reason: 'uses a tag that models read as an instruction',
    pattern:
      /<\/? ?(?:important|system|secret|instructions?|hidden|admin|assistant|critical|override)(?: [^>]{0,60})?>/,
  },
  {
    id: 'chat-markers',
    reason: 'contains the marks that separate speakers in a chat template',
    pattern: /<\|[a-z_]{2,20}\|>|\[\/?inst\]|<<\/?sys>>|#{2,} ?(?:system|assistant|instructions?)\b ?:/,
  },
  {
    id: 'secret-files',
    reason: 'names a place where secrets are kept',
    pattern:
      /\.ssh\/|\bid_(?:rsa|ed25519|ecdsa)\b|\.aws\/credentials|\.kube\/config|\/etc\/(?:passwd|shadow)\b|\.cursor\/mcp\.json|claude_desktop_config|\.(?:netrc|npmrc|pgpass)\b|\/proc\/self\/environ/,
  },
  {
    id: 'exfiltration',
    reason: 'asks for something private to be passed on',
    pattern:
      /\b(?:send|post|upload|forward|exfiltrate|transmit|include|append|attach|pass|copy|leak)\b[^.]{0,60}\b(?:conversation|chat history|message history|system prompt|private keys?|credentials|environment variables|contents? of (?:the )?(?:file|~)|all (?:previous )?messages)\b/,
  },
  {
    id: 'shadowing',
    reason: 'gives orders about other tools',
    pattern:
      /\b(?:before|after|instead of|whenever|when|prior to|every time)\b[^.]{0,20}\b(?:using|calling|invoking|running|use|call|invoke)\b[^.]{0,20}\b(?:any|other|another|every|all)\b[^.]{0,15}\btools?\b|\b(?:must|always) (?:first |always )?(?:call|use|invoke|run) this tool (?:first|before)\b/,
  },
  {
    id: 'invisible',
    reason: 'contains characters that people do not see and models read',
    // Zero-width, directional and tag characters; U+200D is left out, because emoji are joined with it.
    pattern: /[\u200B\u200C\u200E\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF\u00AD]|[\u{E0000}-\u{E007F}]/u,
    raw: true,
  },
  {
    id: 'terminal',
    reason: 'contains control characters, which terminals obey',
    // oxlint-disable-next-line no-control-regex
    pattern: /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F\u009B]/,
    raw: true,
  },
  {
    id: 'encoded',
    reason: 'contains a long piece of encoded data',
    pattern: /[A-Za-z0-9+/_-]{300}/,
    raw: true,
  },
  {
    id: 'remote-image',
    reason: 'contains an image from elsewhere: whoever shows it tells that server what its address says',
    pattern: /!\[[^\]]{0,200}\]\( ?https?:\/\/|<img [^>]{0,200}src ?= ?["']?https?:/,
  },
]

/** How people read it: compatibility forms, invisible characters, case and spacing gone. */
export function normalize(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF\u00AD]|[\u{E0000}-\u{E007F}]/gu, '')
    .toLowerCase()
    .replace(/[\s*`"“”]+/g, ' ')
}
