#!/bin/sh
# Runs the command it is given; for the one word `executor`, with which Spark's scheduler for Kubernetes starts
# an image, that is the executor (spark_jobs/executor.py).
set -eu
[ "${1:-}" != executor ] || set -- python -m spark_jobs.executor
exec "$@"
