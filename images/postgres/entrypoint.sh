#!/bin/sh
# Starts PostgreSQL on $PGDATA and makes the cluster there first when there is none.
#
# The password reaches initdb by a file and the server by standard input: never an argument.
# A cluster is built beside $PGDATA and moved there when complete, so an interrupted first start
# leaves nothing that a later one could mistake for a database.
set -eu
umask 0077
trap 'exit 130' INT TERM

say() { echo "postgres-entrypoint: $*" >&2; }

fail() { say "$*"; exit 1; }

# SQL text: quotes doubled. A line break would end the command in single-user mode.
quoted() {
    case $2 in *"
"*) fail "line break in a user, database or password: not supported" ;; esac
    printf '%s' "$2" | sed "s/$1/$1$1/g"
}

single_user() {
    postgres --single -D "$1" -c log_statement=none -c log_min_error_statement=panic \
        -c log_min_messages=warning postgres >/dev/null
}

: "${PGDATA:?}"
case ${1:-} in
postgres) shift ;;
-*) ;;
'') ;;
*) exec "$@" ;;
esac

user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
new=$PGDATA.new

# Two pods can meet on one volume when one was deleted by force. PostgreSQL's own lock file names a
# process, and each server is process 1 of its pod; this lock ends with the last process that holds it.
mkdir -p "$(dirname "$PGDATA")"
exec 9>"$(dirname "$PGDATA")/.lock"
flock --nonblock 9 || {
    say "another server still uses this volume; waiting for its end"
    flock --wait 300 9 || fail "another server has used this volume for 300 s"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -n "${POSTGRES_PASSWORD:-}" ] || fail "set POSTGRES_PASSWORD: a new cluster needs a password"
    if [ -d "$PGDATA" ]; then
        rmdir "$PGDATA" 2>/dev/null ||
            fail "$PGDATA is neither empty nor a cluster (no PG_VERSION): move it away first"
    fi
    [ ! -e "$new" ] || say "removing a half-made cluster of an interrupted start"
    rm -rf "$new"

    say "making a cluster in $PGDATA"
    pwfile=$(mktemp)
    trap 'rm -f "$pwfile"' EXIT
    printf '%s\n' "$POSTGRES_PASSWORD" >"$pwfile"
    # The built-in C.UTF-8 sorts the same on every libc: no index breaks by a base image update.
    initdb --pgdata "$new" --username "$user" --pwfile "$pwfile" --auth scram-sha-256 \
        --encoding UTF8 --locale-provider builtin --builtin-locale C.UTF-8 --locale C.UTF-8 \
        --data-checksums --no-instructions >&2
    rm -f "$pwfile"
    # Who may connect is the NetworkPolicy's business; here everybody needs the password.
    echo "host all all all scram-sha-256" >>"$new/pg_hba.conf"
    if [ "$database" != postgres ]; then
        echo "CREATE DATABASE \"$(quoted '"' "$database")\"" | single_user "$new"
    fi
    sync
    mv "$new" "$PGDATA"
    sync
else
    # An fsGroup opens the volume to its group at each mount; the server insists on 0700.
    chmod 0700 "$PGDATA"
    if [ -n "${POSTGRES_PASSWORD:-}" ]; then
        # A rotated Secret takes effect with the restart. After a crash this also recovers.
        # The lock file then names process 1, which is this shell: the variable says so.
        export PG_GRANDPARENT_PID=$$
        echo "ALTER ROLE \"$(quoted '"' "$user")\" PASSWORD '$(quoted "'" "$POSTGRES_PASSWORD")'" |
            single_user "$PGDATA"
    fi
fi

unset POSTGRES_PASSWORD PG_GRANDPARENT_PID
trap - INT TERM EXIT
exec postgres -D "$PGDATA" -c "listen_addresses=${POSTGRES_LISTEN:-*}" \
    -c unix_socket_directories=/var/run/postgresql "$@"
