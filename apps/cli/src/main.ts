#!/usr/bin/env node
// DRAFT by the lead so that bench and conformance can start the gateway; helper B: overwrite this file.
import { readFileSync } from 'node:fs'
import { parseConfig, startGateway } from '@mcp-gateway/gateway'
const args = process.argv.slice(2)
const file = args[args.indexOf('--config') + 1] ?? ''
const port = process.env['MCP_GATEWAY_PORT']
const config = parseConfig(readFileSync(file, 'utf8'), { env: process.env, file, ...(port !== undefined && { overrides: { port: Number(port) } }) })
const gateway = await startGateway({ config })
const stop = (): void => void gateway.close().then(() => process.exit(0))
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
