export { configJsonSchema, ConfigError, parseConfig, type Config, type KeyConfig, type ServerConfig } from './config.ts'
export { startGateway, type GatewayOptions, type RunningGateway } from './gateway.ts'
export { createLogger, type Logger } from './log.ts'
export { readPolicySections } from './policy-config.ts'
