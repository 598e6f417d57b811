# Starts this broker under the name that its Service gives it. Half of the container's memory is Java's
# heap; the rest is for threads, buffers and the page cache.
set -eu
{
  cat /etc/kafka/storefront/server.properties
  echo "node.id=${POD_NAME##*-}"
  echo "advertised.listeners=CLIENTS://$POD_NAME.$NODES_DOMAIN:9092"
} >/tmp/server.properties
exec java -XX:InitialRAMPercentage=25 -XX:MaxRAMPercentage=50 -XX:+UseG1GC -XX:MaxGCPauseMillis=20 \
  -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
  -Dlog4j2.configurationFile=/etc/kafka/storefront/log4j2.properties \
  -cp '/opt/kafka/libs/*' kafka.Kafka /tmp/server.properties
