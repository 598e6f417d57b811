# Formats this broker's disk, once. What is formatted stays as it is: a disk of another cluster makes the
# broker refuse to start, which is better than to lose what is on it.
set -eu
[ ! -s /var/lib/storefront/kafka/meta.properties ] || exit 0
{
  cat /etc/kafka/storefront/server.properties
  echo "node.id=${POD_NAME##*-}"
} >/tmp/server.properties
exec java -Xmx128m -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted \
  --cluster-id "$(cat "$CLUSTER_ID_FILE")" --config /tmp/server.properties
