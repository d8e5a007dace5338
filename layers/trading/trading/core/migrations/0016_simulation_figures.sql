-- A result may have megabytes, which a list would have to parse. Generated, so that the code before this one, which does
-- not know these columns, fills them too. The parts of a json keep their text.
alter table simulations
    add strategy json generated always as (result -> 'strategy') stored,
    add metrics json generated always as (result -> 'metrics') stored;
