#!/bin/sh
# A PostgreSQL server for tests, until standard input ends: postgres.sh FOLDER ADDRESSES [SETTING=VALUE …]
# Its socket is in FOLDER, its port 5432, its user `ringback`. Says "ready" when it takes connections.
set -eu
folder=$1
addresses=$2
shift 2
settings=
for setting in "$@"; do settings="$settings -c $setting"; done
postgres=$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres "${RINGBACK_PEERS:-/nowhere}/bin/postgres" 2>/dev/null | tail -n 1)
[ -n "$postgres" ] || { echo "no PostgreSQL here: cargo xtask setup --peers fetches it" >&2; exit 1; }
bin=$(dirname "$(readlink -f "$postgres")")
# The server refuses root.
as=
if [ "$(id -u)" = 0 ]; then
    chown 65534:65534 "$folder"
    as='setpriv --reuid=65534 --regid=65534 --clear-groups'
fi
cd "$folder"
if [ ! -d data ]; then
    $as "$bin/initdb" -D data -U ringback -A trust -E UTF8 --locale=C --no-sync >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
    echo 'host all all all trust' >>data/pg_hba.conf
fi
$as "$bin/postgres" -D data -k "$folder" -h "$addresses" -p 5432 -c max_connections=200 $settings >log 2>&1 &
server=$!
until "$bin/pg_isready" -q -h "$folder"; do
    kill -0 $server 2>/dev/null || { cat log >&2; exit 1; }
    [ -x "$bin/pg_isready" ] || { echo "no pg_isready beside $postgres" >&2; exit 1; }
    sleep 0.05
done
echo ready
cat >/dev/null || true
kill -QUIT $server 2>/dev/null || true
wait $server || true
