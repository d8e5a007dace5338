-- Built while everybody works on. An index whose build was interrupted is there and useless: hence the drops.
drop index concurrently if exists trades_by_account;
create index concurrently trades_by_account on trades (account, timestamp desc, id desc);
drop index concurrently if exists trades_by_tag;
create index concurrently trades_by_tag on trades using gin (tags) where tags <> '{}';
drop index concurrently if exists trades_import_key;
create unique index concurrently trades_import_key on trades (import_key) where import_key is not null;
drop index concurrently if exists notifications_change;
create unique index concurrently notifications_change on notifications (change_id) where change_id is not null;
drop index concurrently if exists notifications_due_at;
create index concurrently notifications_due_at on notifications (due_at) where delivered_at is null and failed_at is null;
