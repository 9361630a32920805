"""What an export on Spark costs beside one on one machine, in processor time and memory: cost.py INPUT OUT [EXECUTORS]

The same export runs three times in one session: the JVMs compile their code in the first two. Before each, one machine
does the same, as a machine that others use too is not as fast at all times. Processor time is that of all processes below
this one, the driver's JVM included; memory is the most that any executor's processes held together, without what they
share.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time

from gleaner_sft import spark as gleaner_spark
from processes import command, descendants
from pyspark.sql import SparkSession

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")
RUNS = 3


def seconds(root: int) -> float:
    """The processor time of a process and those below it, the ended ones included."""
    ticks = 0
    for pid in [root, *descendants(root)]:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


def bytes_of_executors() -> list[int]:
    """What each executor and its Python processes hold, without what they share."""
    executors = [pid for pid in descendants(os.getpid()) if "CoarseGrainedExecutorBackend" in command(pid)]
    return [sum(own_bytes(child) for child in [pid, *descendants(pid)]) for pid in executors]


def own_bytes(pid: int) -> int:
    try:
        _, resident, shared, *_ = pathlib.Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * PAGE


class Most:
    """The most that any executor held while this was open."""

    def __enter__(self) -> Most:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.3):
            self.bytes = max([self.bytes, *bytes_of_executors()])

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def alone(source: str, out: pathlib.Path, config: dict[str, object]) -> tuple[str, float]:
    """The digest and the processor time of one machine."""
    program = (
        "import sys, json, gleaner_sft; made = gleaner_sft.export(input=sys.argv[1], out=sys.argv[2] + '/alone',"
        " work_dir=sys.argv[2] + '/alone-work', config=json.loads(sys.argv[3]), progress=False, fresh=True);"
        " print(made.content_sha256)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = [sys.executable, "-c", program, source, str(out), json.dumps(config)]
    digest = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return digest, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    source, out = sys.argv[1], pathlib.Path(sys.argv[2])
    executors = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    name = time.strftime("d%Y%m%d%H%M%S")
    config: dict[str, object] = {"limits": {"max_malformed_percent": 100}}
    spark = (
        SparkSession.builder.master(f"local-cluster[{executors},1,1024]")
        .config("spark.executorEnv.PYTHONPATH", os.environ.get("PYTHONPATH", ""))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    for number in range(1, RUNS + 1):
        digest, cpu = alone(source, out, {**config, "name": f"{name}-alone-{number}"})
        print(f"one machine: {cpu:.1f} s of processors, {digest[:12]}", flush=True)
        before, begun = seconds(os.getpid()), time.monotonic()
        with Most() as most:
            made = gleaner_spark.export(spark, source, out=out / "spark", work_dir=out / "spark-work", fresh=True,
                                        config={**config, "name": f"{name}-{number}"}, progress=False)
        wall = time.monotonic() - begun
        used = seconds(os.getpid()) - before
        print(f"Spark, {executors} executors, run {number}: {used:.1f} s of processors ({(used - 10) / cpu:.2f} times one "
              f"machine's, without 10 s), {wall:.1f} s, {most.bytes / 1e6:.0f} MB in the largest executor, "
              f"{made.content_sha256[:12]}", flush=True)
        assert made.content_sha256 == digest, "the datasets differ"
    spark.stop()


if __name__ == "__main__":
    main()
