-- What the ticks of a ticker come to in each five minutes that have any: [bucket_start, bucket_start + 5 min).
create table price_averages (
    ticker text not null check (ticker ~ '^[A-Z]{1,5}(\.[A-Z])?$'),
    bucket_start timestamptz not null check (extract(epoch from bucket_start) % 300 = 0),
    price_sum numeric not null,
    count bigint not null check (count > 0),
    open numeric not null check (open > 0),
    opened_at timestamptz not null,
    high numeric not null,
    low numeric not null,
    close numeric not null,
    closed_at timestamptz not null,
    primary key (ticker, bucket_start)
);

-- Where the alert rule stands with each ticker; its row is the lock of who works on the ticker.
create table price_windows (
    ticker text primary key check (ticker ~ '^[A-Z]{1,5}(\.[A-Z])?$'),
    state json
);

create table alerts (
    id uuid primary key,
    -- Orders alerts of the same instant, so that a page has a key.
    number bigint generated always as identity,
    ticker text not null check (ticker ~ '^[A-Z]{1,5}(\.[A-Z])?$'),
    price numeric not null check (price > low_price),
    timestamp timestamptz not null,
    low_price numeric not null check (low_price > 0),
    low_timestamp timestamptz not null,
    rise_percent numeric not null,
    unique (ticker, timestamp)
);

create index alerts_by_time on alerts (timestamp desc, number desc);
create index alerts_by_ticker on alerts (ticker, timestamp desc, number desc);

-- A notification tells of a trade or of an alert.
alter table notifications
    alter trade_id drop not null,
    add alert_id uuid unique references alerts,
    add check (num_nonnulls(trade_id, alert_id) = 1);
