/**
 * Is this text a secret that must not be copied into a configuration file? Wrong in the safe direction: what looks random
 * becomes a reference to a variable, and the person exports one variable too many.
 */
const secretName =
  /key|token|secret|passw|pwd|pass$|credential|auth|bearer|cookie|session|private|signature|dsn|conn(ection)?_?str/i

// The prefixes that secret scanners know.
const secretPrefix =
  /^(?:sk-|sk_|rk_|pk_live|ghp_|gho_|ghs_|ghu_|github_pat_|glpat-|xox[abeprs]-|xapp-|AKIA|ASIA|AIza|ya29\.|eyJ|npm_|pypi-|hf_|shp(at|ss)_|SG\.|dop_v1_|lin_api_|secret_|ntn_|gw_|-----BEGIN)|^(Bearer|Basic) +\S/

/** `name` is the variable, header or flag the value belongs to. */
export function looksSecret(name: string, value: string): boolean {
  if (value === '' || isPlain(value)) return false
  if (hasPassword(value)) return true
  // Where there is a reference, the secret is elsewhere already, and the rest is what surrounds it.
  if (value.includes('${'))
    return value.split(/\$\{[^}]*\}/).some((part) => secretPrefix.test(part.trim()) || looksRandom(part))
  return secretName.test(name) || secretPrefix.test(value) || looksRandom(value)
}

/** A flag, a number, or a place on this disk. An AWS secret may begin with a slash, too: a random path is none. */
function isPlain(value: string): boolean {
  if (/^(true|false|yes|no|on|off|\d{1,8})$/i.test(value)) return true
  return /^(\/|~\/|\.{1,2}\/|[A-Za-z]:\\)/.test(value) && !looksRandom(value)
}

/** postgres://user:password@host, and ?api_key=… in any URL. */
function hasPassword(value: string): boolean {
  const url = URL.parse(value)
  if (url === null) return /:\/\/[^/\s]*:[^/\s]+@/.test(value)
  const isLiteral = (text: string): boolean => text !== '' && !/\$(\{|%7B)/.test(text)
  if (isLiteral(url.password)) return true
  return [...url.searchParams].some(([name, text]) => isLiteral(text) && secretName.test(name))
}

/** 20 characters or more without spaces, in which digits and cases are mixed beyond what words and names do. */
function looksRandom(value: string): boolean {
  if (!/^[A-Za-z0-9+/_=.-]{20,}$/.test(value) || !/\d/.test(value)) return false
  const switches = value.match(/[a-zA-Z](?=\d)|\d(?=[a-zA-Z])|[a-z](?=[A-Z])/g)?.length ?? 0
  return switches >= 4
}
