/** The servers' questions to one client, under ids of its session's own. */
import { isObject, type JsonRpcNotification, type JsonRpcRequest, type JsonRpcResponse } from '@mcp-gateway/wire'

export type Questions<Asker> = {
  /** The question as the client gets it. */
  ask(question: JsonRpcRequest, serverId: string, asker: Asker): JsonRpcRequest
  /** A server takes a question back: the notification as the client gets it. */
  cancel(message: JsonRpcNotification, asker: Asker): JsonRpcNotification
  /** The client's answer as the server gets it. Undefined when nobody asked. */
  answer(message: JsonRpcResponse): { readonly asker: Asker; readonly message: JsonRpcResponse } | undefined
}

/** Questions a client may leave open before the oldest is forgotten. */
const MAX_OPEN = 1000

export function createQuestions<Asker>(): Questions<Asker> {
  const open = new Map<string, { readonly asker: Asker; readonly id: JsonRpcRequest['id'] }>()
  let next = 1
  return {
    ask(question, serverId, asker) {
      const [oldest] = open.keys()
      if (oldest !== undefined && open.size >= MAX_OPEN) open.delete(oldest)
      const id = `${serverId}-${next++}`
      open.set(id, { asker, id: question.id })
      return { ...question, id }
    },
    cancel(message, asker) {
      const asked = isObject(message.params) ? message.params['requestId'] : undefined
      for (const [id, question] of open) {
        if (question.asker !== asker || question.id !== asked) continue
        open.delete(id)
        return { ...message, params: { ...message.params, requestId: id } }
      }
      return message
    },
    answer(message) {
      const id = typeof message.id === 'string' ? message.id : ''
      const question = open.get(id)
      if (question === undefined) return undefined
      open.delete(id)
      return { asker: question.asker, message: { ...message, id: question.id } }
    },
  }
}
