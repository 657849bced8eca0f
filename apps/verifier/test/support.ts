/** Why tests with verify.sh are skipped, or nothing. CI says in CI_REQUIRE that it is there, and then its absence fails. */
import { spawnSync } from 'node:child_process'

const isThere =
  /^OpenSSL [3-9]/.test(spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? '') &&
  spawnSync('jq', ['--version']).status === 0

export const opensslMissing: string | undefined =
  isThere || (process.env['CI_REQUIRE'] ?? '').split(/[\s,]+/).includes('openssl')
    ? undefined
    : 'openssl 3 or jq is not installed (apt-get install -y openssl jq)'
