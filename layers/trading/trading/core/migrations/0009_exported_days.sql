-- The hourly exporter asks which days have trades that were recorded or voided lately. Rows come in the order of these
-- columns, so that the smallest of indexes serves.
drop index concurrently if exists trades_by_recording;
create index concurrently trades_by_recording on trades using brin (recorded_at) with (pages_per_range = 32);
drop index concurrently if exists trade_changes_by_time;
create index concurrently trade_changes_by_time on trade_changes (changed_at);
