#!/usr/bin/env bash
# On a local-cluster of Spark, spark.speculation=true starts no second copy of any task, and nothing says so.
#
# Versions: pyspark 4.3.0 (Python), Java 17 or later, Linux (all of 127.0.0.0/8 is the machine itself)
# Guess:    "with two executors, a copy of a task that stands still starts on the other one" (written before it ran).
# Seen:     A copy never starts on the host of the first attempt, and the executors of local-cluster[2,1,1024] have one
#           host. A task that stands still for 20 s has one attempt there. On a standalone cluster whose two workers
#           have an address each, with the same settings and the same task, it has two. So a test of speculation
#           on a local-cluster shows nothing, however it ends.
# Output:   local-cluster: attempts {0: 1, 1: 1, 2: 1, 3: 1}; two hosts: attempts {0: 2, 1: 1, 2: 1, 3: 1}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pyspark==4.3.0
export PYSPARK_PYTHON="$dir/v/bin/python" SPARK_LOCAL_IP=127.0.0.1 SPARK_WORKER_DIR="$dir/work"
cat >look.py <<'PY'
import collections
import pathlib
import sys
import time

from pyspark import TaskContext
from pyspark.sql import SparkSession

marks = pathlib.Path(sys.argv[2])
marks.mkdir()
keys = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.executor.memory": "1g",
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.minTaskRuntime": "1s",
    "spark.speculation.quantile": "0.5",
}
builder = SparkSession.builder.master(sys.argv[1])
for key, value in keys.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
# Both executors are there before anything runs.
while spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 3:
    time.sleep(0.1)


def work(rows):
    here = TaskContext.get()
    (marks / f"{here.partitionId()}-{here.attemptNumber()}").touch()
    if here.partitionId() == 0 and here.attemptNumber() == 0:
        time.sleep(20)
    return rows


assert spark.sparkContext.parallelize(range(4), 4).mapPartitions(work).count() == 4
attempts = collections.Counter(int(mark.name.split("-")[0]) for mark in marks.iterdir())
print(dict(sorted(attempts.items())))
PY
look() {
    v/bin/python look.py "$1" "$dir/$2" 2>log || { tail -n 5 log >&2; exit 1; }
}
one=$(look 'local-cluster[2,1,1024]' one)

class=(v/lib/python3*/site-packages/pyspark/bin/spark-class)
"${class[0]}" org.apache.spark.deploy.master.Master --host 127.0.0.1 --port 0 --webui-port 0 >master 2>&1 &
for _ in $(seq 600); do
    master=$(grep -o 'spark://127.0.0.1:[0-9]*' master | grep -v ':0$' | head -n 1 || true)
    [ -z "$master" ] || break
    sleep 0.1
done
for host in 127.0.0.2 127.0.0.3; do
    "${class[0]}" org.apache.spark.deploy.worker.Worker --host $host --webui-port 0 --cores 1 --memory 1g "$master" \
        >"$host" 2>&1 &
done
two=$(look "$master" two)
echo "local-cluster: attempts $one; two hosts: attempts $two"
# On a busy machine others may be copied, too.
[[ "$one" == '{0: 1,'* && "$two" == '{0: 2,'* ]]
