-- A window is replaced with every batch. With half of each page free its new version fits beside the old one: the index
-- stays as it is, and the space of old versions is used again without a vacuum.
alter table price_windows set (fillfactor = 50);
