-- Makes the owner and its database, or brings them up to date; safe to run again.
-- Values come from the environment (never from argv) through psql's \getenv.
\set ON_ERROR_STOP on
\getenv owner OWNER
\getenv password OWNER_PASSWORD
\getenv database OWNER_DATABASE
SELECT format('CREATE ROLE %I', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
