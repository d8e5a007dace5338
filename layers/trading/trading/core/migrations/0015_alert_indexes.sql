drop index concurrently if exists alerts_by_rule;
create unique index concurrently alerts_by_rule on alerts (rule_id, ticker, timestamp);
