-- A notification tells of a trade, an alert, or a change of a trade.
-- The sweeper goes by due_at. The one before it goes by next_attempt_at, and knows trades and alerts only: rows of other
-- kinds are written with next_attempt_at = 'infinity', so that it never takes them.
alter table notifications
    add change_id bigint references trade_changes,
    add due_at timestamptz not null default now() + interval '1 minute',
    drop constraint notifications_check,
    add constraint notifications_check check (num_nonnulls(trade_id, alert_id, change_id) = 1) not valid;

grant update (due_at) on notifications to trading_app;
