# Formats this broker's disk, once: what is on it is never formatted over. A format that was cut off is done
# again, as its last file is the one that is looked for. Where there are records and not that file, it was
# lost: with a new one, and another directory.id in it, nobody would ever lead what is there. A disk of
# another cluster is refused: a broker would take that cluster's name from it, and not the one of those that
# it should join.
set -eu
disk=/var/lib/storefront/kafka/meta.properties
cluster=$(cat "$CLUSTER_ID_FILE")
if [ -s "$disk" ]; then
  there=$(sed -n 's/^cluster\.id=//p' "$disk")
  [ "$there" != "$cluster" ] || exit 0
  echo "the disk of $POD_NAME is of the Kafka cluster $there, and its Secret names $cluster:" \
    "write cluster-id: $there into the Secret, or give the pod a disk of its own" >&2
  exit 1
fi
for records in "${disk%/*}"/*/[0-9]*.log; do
  [ -e "$records" ] || continue
  echo "the disk of $POD_NAME has records and no meta.properties, and is not formatted over them: restore that" \
    "file from a backup, as its directory.id cannot be made up, or give the pod a disk of its own" >&2
  exit 1
done
# Kafka's tool would take an empty one for a disk that is formatted.
rm -f "$disk"
{
  cat /etc/kafka/storefront/server.properties
  echo "node.id=${POD_NAME##*-}"
} >/tmp/server.properties
exec java -Xmx128m -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted \
  --cluster-id "$cluster" --config /tmp/server.properties
