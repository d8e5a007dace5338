drop index concurrently if exists notifications_of_imports;
create index concurrently notifications_of_imports on notifications (next_attempt_at)
    where num_nonnulls(import_id, voided_import_id) = 1 and delivered_at is null and failed_at is null;
alter table notifications validate constraint notifications_check;
