# Makes the database, once, beside its place: what a crash left half done is thrown away, and what is there
# stays. Then runs the server; asked to stop, it rolls back what is open and does not wait for clients.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  rm -rf "$PGDATA.new"
  initdb --pgdata="$PGDATA.new" --username="$POSTGRES_USER" --pwfile="$PASSWORD_FILE" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C
  echo "host all all all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DATABASE" | postgres --single -D "$PGDATA.new" postgres
  mv "$PGDATA.new" "$PGDATA"
fi
postgres -D "$PGDATA" -c "listen_addresses=*" -c unix_socket_directories=/tmp &
server=$!
trap 'kill -INT "$server"' TERM INT
# The first wait ends with the signal, the last one with the server's own status.
status=0
while kill -0 "$server" 2>/dev/null; do wait "$server" && status=0 || status=$?; done
exit "$status"
