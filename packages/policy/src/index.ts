export { createPolicyEngine, type PolicyEngineOptions, type RuleEngine } from './policy-engine.ts'
export { refusal, type Decision, type Obligation, type PolicyEngine } from './decision.ts'
export { formatExplanation, type Explanation, type RuleExplanation } from './explain.ts'
export { parsePolicyFile, toPolicyFile, type PolicyFile } from './policy-file.ts'
export {
  formatCaseResults,
  parsePolicyTable,
  runPolicyTable,
  toPolicyTable,
  type CaseResult,
  type Expectation,
  type PolicyCase,
  type PolicyTable,
} from './table.ts'
export type { Policy, Rule } from './rule.ts'
export type { ConditionSpec } from './conditions/spec.ts'
export { compileGlob, compileGlobs, type Glob } from './glob.ts'
export {
  createLimiter,
  type Admission,
  type AdmitOptions,
  type Limiter,
  type LimiterEvent,
  type LimiterOptions,
} from './limits/limiter.ts'
export { DEFAULT_LIMITS, parseRate, type Dimension, type Limit, type Rate } from './limits/limit.ts'
export type { LimitHeaders } from './limits/headers.ts'
export type { DayAnswer, DayRequest, LimitStore, RateAnswer, RateRequest, SlotRequest } from './store.ts'
export {
  addressRefusal,
  createAddressPolicy,
  type AddressDecision,
  type AddressPolicy,
  type AddressRules,
} from './addresses/address-policy.ts'
export { compileAddresses, parseAddress, type Address, type AddressSet } from './addresses/cidr.ts'
export { createClientAddress, type ClientAddressOptions, type RequestAddress } from './addresses/client-address.ts'
export {
  createRedactor,
  DEFAULT_REDACTION,
  type CallRedactor,
  type Passage,
  type Redacted,
  type RedactionRule,
  type RedactionStream,
  type Redactor,
} from './redaction/redactor.ts'
export type { NamedPattern } from './redaction/patterns.ts'
export { DETECTORS, type Detector } from './redaction/span.ts'
export {
  createToolGuard,
  guardRefusal,
  type GuardAction,
  type GuardFinding,
  type GuardVerdict,
  type ToolGuard,
  type ToolGuardRules,
} from './guard/tool-guard.ts'
export type { PoisoningRuleId } from './guard/poisoning.ts'
export { PolicyError, type PolicyErrorCode, type PolicyErrorOptions, type PolicyFinding } from './errors.ts'
export type { Subject, ToolCall } from './subject.ts'
