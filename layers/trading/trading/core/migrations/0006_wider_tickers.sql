alter table price_averages
    drop constraint price_averages_ticker_check,
    add constraint price_averages_ticker_check check (ticker ~ '^[A-Z]{1,5}([.-][A-Z]{1,4})?$') not valid;
alter table price_windows
    drop constraint price_windows_ticker_check,
    add constraint price_windows_ticker_check check (ticker ~ '^[A-Z]{1,5}([.-][A-Z]{1,4})?$') not valid;
alter table alerts
    drop constraint alerts_ticker_check,
    add constraint alerts_ticker_check check (ticker ~ '^[A-Z]{1,5}([.-][A-Z]{1,4})?$') not valid;
alter table simulations
    drop constraint simulations_ticker_check,
    add constraint simulations_ticker_check check (ticker ~ '^[A-Z]{1,5}([.-][A-Z]{1,4})?$') not valid;
