-- Reads each table once, while everybody works on.
alter table trades
    validate constraint trades_ticker_check,
    validate constraint trades_quantity_check,
    validate constraint trades_account_check,
    validate constraint trades_fee_check,
    validate constraint trades_currency_check,
    validate constraint trades_note_check,
    validate constraint trades_tags_check;
alter table notifications validate constraint notifications_check;
alter table price_averages validate constraint price_averages_ticker_check;
alter table price_windows validate constraint price_windows_ticker_check;
alter table alerts validate constraint alerts_ticker_check;
alter table simulations validate constraint simulations_ticker_check;
