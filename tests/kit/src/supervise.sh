# supervise.sh FOLDER SIGNAL OUTPUT PROGRAM [ARGUMENT...]
# Runs PROGRAM, prints its process id and ends with its status. When stdin closes, which it does
# however the test process ends, PROGRAM gets SIGNAL and FOLDER is removed. Ctrl-C in a terminal
# reaches this shell too; it must outlive it to do its work.
folder=$1 signal=$2 output=$3
shift 3
exec 3<&0
"$@" </dev/null >>"$output" 3<&- &
child=$!
trap '' INT TERM HUP
{
    read -r _ <&3
    : >"$folder/.over"
    kill -s "$signal" "$child"
    kill -s CONT "$child" # a stopped process hears nothing else
} >/dev/null 2>&1 &
watcher=$!
exec 3<&-
echo "$child"
exec >&-
wait "$child"
status=$?
kill -s KILL "$watcher" 2>/dev/null
[ -e "$folder/.over" ] && rm -rf "$folder"
exit "$status"
