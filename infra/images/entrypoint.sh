#!/bin/sh
# Runs the command it is given; or, for the one word `executor`, a Spark executor, as Spark's scheduler for
# Kubernetes asks an image to (the variables are its own).
set -eu
[ "${1:-}" = executor ] || exec "$@"

set --
number=0
# Java's options come numbered, each whole, whatever blanks are in it.
while eval "[ -n \"\${SPARK_JAVA_OPT_$number:-}\" ]"; do
    eval "set -- \"\$@\" \"\$SPARK_JAVA_OPT_$number\""
    number=$((number + 1))
done
exec java "$@" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
    -cp "$(echo /opt/venv/lib/python3*/site-packages/pyspark/jars)/*:${SPARK_EXTRA_CLASSPATH:-}" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "${SPARK_RESOURCE_PROFILE_ID:-0}" --podName "${SPARK_EXECUTOR_POD_NAME:-}"
