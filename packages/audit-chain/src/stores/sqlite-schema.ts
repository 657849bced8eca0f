/**
 * Log and position in one integer: a key of two columns would be a second tree to write, which costs a sixth of the time of a
 * batch. Numbers end at 2^53, since JavaScript's do.
 */
const SEQ_BITS = 40
export const MAX_ENTRIES: number = 2 ** SEQ_BITS
const MAX_LOGS = 2 ** (53 - SEQ_BITS)
const KEY_PARTS = `log integer as (key >> ${SEQ_BITS}), seq integer as (key & ${MAX_ENTRIES - 1})`

export function keyOf(log: number, seq: number): number {
  return log * MAX_ENTRIES + Math.min(seq, MAX_ENTRIES)
}

/**
 * The tables. Triggers refuse what no writer of ours does; whoever owns the file can drop them, and then the signed
 * checkpoints tell.
 */
export const SQLITE_SCHEMA: string = `
create table if not exists audit_log (
  log integer primary key check (log < ${MAX_LOGS}),
  origin text not null unique,
  size integer not null,
  last_hash blob not null,
  last_at integer not null,
  nodes blob not null
) strict;

create table if not exists audit_entry (
  key integer primary key,
  ${KEY_PARTS},
  id text not null,
  leaf blob not null
) strict;
create unique index if not exists audit_entry_id on audit_entry (id, log);

create table if not exists audit_node (
  log integer not null references audit_log (log),
  level integer not null,
  idx integer not null,
  hash blob not null,
  primary key (log, level, idx)
) strict, without rowid;

create table if not exists audit_field (
  key integer primary key,
  ${KEY_PARTS},
  subject text,
  fields blob not null
) strict;
create index if not exists audit_field_subject on audit_field (subject) where subject is not null;

create table if not exists audit_checkpoint (
  log integer not null references audit_log (log),
  size integer not null,
  note text not null,
  primary key (log, size)
) strict, without rowid;

create table if not exists audit_cursor (
  log integer not null references audit_log (log),
  follower text not null,
  seq integer not null,
  primary key (log, follower)
) strict, without rowid;

${['entry', 'node', 'checkpoint']
  .flatMap((table) =>
    ['update', 'delete'].map(
      (verb) => `create trigger if not exists audit_${table}_no_${verb} before ${verb} on audit_${table}
begin select raise(abort, 'audit_${table} is append-only'); end;`,
    ),
  )
  .join('\n')}
create trigger if not exists audit_log_no_delete before delete on audit_log
begin select raise(abort, 'audit_log is append-only'); end;
create trigger if not exists audit_log_no_shrink before update on audit_log when new.size < old.size or new.origin <> old.origin
begin select raise(abort, 'audit_log only grows'); end;
`
