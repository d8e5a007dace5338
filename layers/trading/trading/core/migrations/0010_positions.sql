-- Which position a change is about, and where its trade stands in the order of that position's trades: whoever carries a
-- position on from a checkpoint looks for changes by these. The instant is not called timestamp: the commit before joins
-- this table with trades, and says timestamp alone.
alter table trade_changes
    add account text,
    add ticker text,
    add currency text,
    add traded_at timestamptz;

-- A trigger, so that no statement that writes changes can leave them out, those of the commit before among them.
create function place_trade_change() returns trigger language plpgsql as $$
begin
    select account, ticker, currency, timestamp
    into new.account, new.ticker, new.currency, new.traded_at
    from trades where id = new.trade_id;
    return new;
end
$$;
create trigger place before insert on trade_changes for each row execute function place_trade_change();

update trade_changes as change
set account = trade.account, ticker = trade.ticker, currency = trade.currency, traded_at = trade.timestamp
from trades as trade
where trade.id = change.trade_id;

-- How far a position has been worked out: a cache, which can be emptied at any time. It covers the trades up to
-- (last_at, last_id) that were recorded before covered_before, and the splits that are named.
create table position_checkpoints (
    account text not null,
    ticker text not null,
    currency text not null,
    method text not null check (method in ('fifo', 'average')),
    version smallint not null,
    covered_before timestamptz not null,
    last_at timestamptz not null,
    last_id bigint not null,
    splits bigint[] not null,
    state json not null,
    marks json not null,
    days json not null,
    primary key (account, ticker, currency, method)
);

grant update (version, covered_before, last_at, last_id, splits, state, marks, days) on position_checkpoints
    to trading_app;
