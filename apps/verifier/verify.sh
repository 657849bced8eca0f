#!/usr/bin/env bash
# Checks the checkpoint signature and the inclusion of every entry in a proof bundle, with openssl 3, jq and coreutils, for
# those who would rather read a hundred lines of shell than run a program. It does not open fields, compare checkpoints,
# look at the meta-log or count witnesses: mcp-gateway-verify and verify.mjs do.
#   verify.sh <bundle> <verifier key>      exit codes: 0 verified, 10 rejected, 20 could not be checked, 30 malformed
set -u -o pipefail
export LC_ALL=C

finish() { printf '%s  %s\n' "$2" "$3" >&2; exit "$1"; }
rejected() { finish 10 REJECTED "$1"; }
unsupported() { finish 20 UNSUPPORTED "$1"; }
malformed() { finish 30 MALFORMED "$1"; }

[ $# -eq 2 ] || unsupported 'usage: verify.sh <bundle> <verifier key>'
for tool in openssl jq awk sed tail; do command -v "$tool" >/dev/null || unsupported "$tool is not installed"; done
bundle=$1 key=$2
[ -r "$bundle" ] && [ -f "$bundle" ] || unsupported "$bundle cannot be read"
[ -s "$bundle" ] || malformed 'the file is empty'
[ "$(tail -c 1 "$bundle" | od -An -tx1 | tr -d ' ')" = 0a ] || malformed 'the last line does not end'
[ "$(tr -d -c '\000' <"$bundle" | wc -c)" -eq 0 ] || malformed 'it has NUL bytes'
work=$(mktemp -d) || unsupported 'no temporary folder'
trap 'rm -rf "$work"' EXIT

bytes() { printf "$(printf %s "$1" | sed 's/../\\x&/g')"; } # of hex digits
sha256() { openssl dgst -sha256 -r | cut -d' ' -f1; }
# Hex digits of base 64 that has its one spelling; nothing otherwise.
decode() {
  printf '%s' "$1" | openssl base64 -d -A >"$work/decoded" 2>/dev/null || return 1
  [ "$(openssl base64 -A <"$work/decoded")" = "$1" ] && [ -n "$1" ] || return 1
  od -An -v -tx1 "$work/decoded" | tr -d ' \n'
}

# --- the key, pinned by whoever calls this
name=${key%%+*} rest=${key#*+}
id=${rest%%+*} raw=$(decode "${rest#*+}") || unsupported 'the key is malformed'
[ ${#raw} -eq 66 ] && [ "${raw:0:2}" = 01 ] || unsupported 'the key is not the Ed25519 key of a log'
expected=$({ printf '%s\n' "$name"; bytes "$raw"; } | sha256)
[ "${expected:0:8}" = "$id" ] || unsupported 'the id of the key is wrong'
bytes "302a300506032b6570032100${raw:2}" >"$work/key.der"

# --- a signed checkpoint: sets size and root
check_checkpoint() {
  local note=$1 signature found=no hex
  awk 'NF == 0 { exit } { print }' "$note" >"$work/text"
  while IFS= read -r signature; do
    [ "${signature% *}" = "— $name" ] || continue
    hex=$(decode "${signature##* }") || malformed 'a signature is not base64'
    [ "${hex:0:8}" = "$id" ] || continue
    bytes "${hex:8}" >"$work/signature"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin -in "$work/text" \
      -sigfile "$work/signature" >/dev/null 2>&1 || rejected 'SIGNATURE_INVALID'
    found=yes
  done < <(awk 'body { print } NF == 0 { body = 1 }' "$note")
  [ "$found" = yes ] || rejected "SIGNATURE_MISSING: $name did not sign"
  [ "$(sed -n 1p "$work/text")" = "$name" ] || rejected 'ORIGIN_UNEXPECTED'
  size=$(sed -n 2p "$work/text")
  [[ $size =~ ^(0|[1-9][0-9]{0,15})$ ]] || malformed 'the checkpoint has no size'
  root=$(decode "$(sed -n 3p "$work/text")") && [ ${#root} -eq 64 ] || malformed 'the checkpoint has no root'
}

node() { { printf '\001'; bytes "$1$2"; } | sha256; }

# --- RFC 9162 §2.1.3.2: from the leaf's hash up to the root
check_inclusion() {
  local hash=$1 fn=$2 sn=$((size - 1)) sibling encoded
  [ "$fn" -lt "$size" ] || rejected 'INCLUSION_UNPROVEN: there is no such leaf'
  while IFS= read -r encoded; do
    sibling=$(decode "$encoded") && [ ${#sibling} -eq 64 ] || malformed 'a hash has not 32 bytes'
    [ "$sn" -ne 0 ] || rejected 'INCLUSION_UNPROVEN: the proof is too long'
    if ((fn % 2 == 1 || fn == sn)); then
      hash=$(node "$sibling" "$hash")
      while ((fn % 2 == 0 && fn != 0)); do ((fn /= 2, sn /= 2)); done
    else
      hash=$(node "$hash" "$sibling")
    fi
    fn=$((fn / 2)) sn=$((sn / 2))
  done
  [ "$sn" -eq 0 ] || rejected 'INCLUSION_UNPROVEN: the proof is too short'
  [ "$hash" = "$root" ] || rejected 'INCLUSION_UNPROVEN: the proof leads to another root'
}

check_entry() {
  local line=$1 leaf index hash a b
  printf '%s' "$line" | jq -e -j '.proof | strings' >"$work/proof" 2>/dev/null || unsupported 'an entry has no proof'
  # What stands in the line, byte for byte: jq would write it anew. The last place is the end of the entry.
  a=${line%'"v":1},"fields":{'*} b=${line%'"v":1},"proof":"'*}
  [ ${#a} -eq ${#line} ] && a=''
  [ ${#b} -eq ${#line} ] && b=''
  leaf=$a
  [ ${#b} -gt ${#a} ] && leaf=$b
  [ -n "$leaf" ] || malformed 'an entry does not end with its member "v":1'
  leaf=${leaf#'{"entry":'}'"v":1}'
  sed '/^$/,$d' "$work/proof" >"$work/path"
  [ "$(sed -n 1p "$work/path")" = 'c2sp.org/tlog-proof@v1' ] || malformed 'it is no tlog-proof'
  sed -i -e 1d -e '2{/^extra /d;}' "$work/path"
  index=$(sed -n '1s/^index //p' "$work/path")
  [[ $index =~ ^(0|[1-9][0-9]{0,15})$ ]] || malformed 'the proof has no index'
  sed '1,/^$/d' "$work/proof" >"$work/note"
  check_checkpoint "$work/note"
  hash=$({ printf '\000'; printf '%s' "$leaf"; } | sha256)
  check_inclusion "$hash" "$index" < <(sed 1d "$work/path")
  [ "$(printf '%s' "$leaf" | jq -r '"\(.log) \(.seq)"')" = "$name $index" ] || rejected 'ENTRY_MISPLACED'
  printf 'entry %s is in %s of size %s\n' "$index" "$name" "$size"
}

number=0 entries=0
while IFS= read -r line; do
  number=$((number + 1))
  printf '%s' "$line" | jq -e . >/dev/null 2>&1 || malformed "line $number is not JSON"
  case $line in
    '{"log":'*) [ "$(printf '%s' "$line" | jq -r .v)" = 1 ] || unsupported 'another version'
      [ "$(printf '%s' "$line" | jq -r .log)" = "$name" ] || rejected 'ORIGIN_UNEXPECTED' ;;
    '{"entry":'*) check_entry "$line" && entries=$((entries + 1)) ;;
    '{"consistency":'* | '{"checkpoint":'* | '{"meta":'*) ;;
    *) malformed "line $number is nothing known" ;;
  esac
  [ "$number" -gt 1 ] || [[ $line == '{"log":'* ]] || malformed 'the first line is no head'
done <"$bundle"
[ "$entries" -gt 0 ] || unsupported 'it has no entry with a proof'
printf 'VERIFIED  %s entries; pinned: %s; consistency with what was seen before was not checked\n' "$entries" "$key"
