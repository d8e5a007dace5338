drop index concurrently if exists trades_by_position;
create index concurrently trades_by_position on trades (account, ticker, currency, timestamp, id);
drop index concurrently if exists trades_recorded_late;
create index concurrently trades_recorded_late on trades (account, ticker, currency, recorded_at)
    where recorded_at - timestamp > interval '1 minute';
drop index concurrently if exists trade_changes_by_position;
create index concurrently trade_changes_by_position on trade_changes (account, ticker, currency, changed_at);
