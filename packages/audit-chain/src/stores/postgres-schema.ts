/**
 * The tables, and who may do what with them. Two walls: the role that writes has no right to change or delete entries,
 * and triggers refuse it to everybody else. The owner can tear both down, and then the signed checkpoints tell.
 */
import type { PostgresClient } from './postgres-client.ts'

const APPEND_ONLY = ['audit_entry', 'audit_node', 'audit_checkpoint']

/** Statements that can be run again; run them as the owner, not as the role that writes. */
export const POSTGRES_SCHEMA: string = `
create table if not exists audit_log (
  log bigint generated always as identity primary key,
  origin text collate "C" not null unique,
  size bigint not null,
  last_hash bytea not null,
  last_at bigint not null,
  nodes bytea not null
);
create table if not exists audit_entry (
  log bigint not null references audit_log (log),
  seq bigint not null,
  id text collate "C" not null,
  -- Text and not bytea: it is JSON, UTF-8 that the server has checked, and so read back byte by byte.
  leaf text not null,
  primary key (log, seq)
);
create unique index if not exists audit_entry_id on audit_entry (id, log);
create table if not exists audit_node (
  log bigint not null references audit_log (log),
  level int not null,
  idx bigint not null,
  hash bytea not null,
  primary key (log, level, idx)
);
create table if not exists audit_field (
  log bigint not null references audit_log (log),
  seq bigint not null,
  subject text collate "C",
  fields bytea not null,
  primary key (log, seq)
);
create index if not exists audit_field_subject on audit_field (subject, log, seq) where subject is not null;
create table if not exists audit_checkpoint (
  log bigint not null references audit_log (log),
  size bigint not null,
  note text not null,
  primary key (log, size)
);
create table if not exists audit_cursor (
  log bigint not null references audit_log (log),
  follower text not null,
  seq bigint not null,
  primary key (log, follower)
);
create or replace function audit_refuse() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create or replace function audit_refuse_shrink() returns trigger language plpgsql as $$
begin
  if new.size < old.size or new.origin <> old.origin or new.log <> old.log then
    raise exception 'audit_log only grows' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
${APPEND_ONLY.map(
  (table) => `
create or replace trigger ${table}_append_only before update or delete on ${table} for each row execute function audit_refuse();
create or replace trigger ${table}_no_truncate before truncate on ${table} execute function audit_refuse();`,
).join('')}
create or replace trigger audit_log_only_grows before update on audit_log for each row execute function audit_refuse_shrink();
create or replace trigger audit_log_no_delete before delete on audit_log for each row execute function audit_refuse();
create or replace trigger audit_log_no_truncate before truncate on audit_log execute function audit_refuse();
`

/** Makes the tables when they are missing. */
export async function migratePostgres(owner: PostgresClient): Promise<void> {
  await owner.unsafe(POSTGRES_SCHEMA)
}

/** What the writing role needs, and no more. `role` is an identifier, as it stands in the database. */
export async function grantPostgres(owner: PostgresClient, role: string): Promise<void> {
  const quoted = `"${role.replaceAll('"', '""')}"`
  await owner.unsafe(`
grant select, insert on ${APPEND_ONLY.join(', ')} to ${quoted};
grant select, insert, update on audit_log, audit_cursor to ${quoted};
grant select, insert, update, delete on audit_field to ${quoted};
`)
}

/**
 * Erased values stay in dead rows until the table is rewritten, which only its owner may do, and which locks it meanwhile.
 * They also stay in write-ahead log segments until those are recycled, in replicas and in backups.
 */
export async function rewriteErased(owner: PostgresClient): Promise<void> {
  await owner.unsafe('vacuum (full) audit_field')
  await owner.unsafe('checkpoint')
}
