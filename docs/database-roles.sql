-- The roles that functions sign in as, once for each database, by its administrator and before the first migration.
-- `rds_iam` is the role by which RDS lets a user in with a token instead of a password.

create role trading_owner login;
create role trading_app login;
grant rds_iam to trading_owner, trading_app;

grant create on schema public to trading_owner;
grant usage on schema public to trading_app;

-- What the owner's migrations will make.
alter default privileges for role trading_owner in schema public grant select, insert, update on tables to trading_app;
alter default privileges for role trading_owner in schema public grant usage on sequences to trading_app;

-- The first migration sets the database's time zone, which only its owner may.
do $$
begin
    execute format('alter database %I owner to trading_owner', current_database());
end
$$;
