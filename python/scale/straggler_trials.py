"""Python workers that stand still, so that Spark runs their tasks a second time: speculative execution.

A copy never runs on the host of the first attempt, and all executors of a local cluster have one host. So this is a
standalone cluster whose workers have an address of their own each; all of 127.0.0.0/8 is this machine on Linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from processes import kill
from spark_trials import KEYS, SparkTrials
from trials import Missed, Running, Tally, Truth, wait_for

HOSTS = ("127.0.0.2", "127.0.0.3")
KEYS_OF_COPIES = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.minTaskRuntime": "1s",
    "spark.speculation.quantile": "0.25",
}


class Cluster:
    """A master and a worker of one core on each host, while this is open."""

    def __init__(self, out: Path) -> None:
        import pyspark

        self._class = Path(pyspark.__file__).parent / "bin" / "spark-class"
        self._folder = out / "cluster"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> Cluster:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            self._start("master.Master", "--host", "127.0.0.1", "--port", "0")
            wait_for("the master", self._has_address)
            for host in HOSTS:
                below = ["--work-dir", str(self._folder / host), self.address]
                self._start("worker.Worker", "--host", host, "--cores", "1", "--memory", "1g", *below)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        kill(process.pid for process in self._processes)
        for process in self._processes:
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, name: str, *arguments: str) -> None:
        with open(self._folder / "log", "ab") as log:
            command = [str(self._class), f"org.apache.spark.deploy.{name}", "--webui-port", "0", *arguments]
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _has_address(self) -> bool:
        for word in (self._folder / "log").read_text(errors="replace").split():
            if word.startswith("spark://") and not word.rstrip(".").endswith(":0"):
                self.address = word.rstrip(".")
                return True
        return False


class StragglerTrials(SparkTrials):
    """Has Python workers stand still."""

    def __init__(self, inputs: list[str], out: Path, cluster: Cluster) -> None:
        super().__init__(inputs, out, cluster.address, {**KEYS, **KEYS_OF_COPIES})

    def all_stragglers(self, truth: Truth, wanted: int) -> int:
        """Runs so many trials."""
        tally = Tally()
        self.trials(tally, truth, "straggler", wanted, self.MOMENTS)
        self._spark.stop()
        return tally.close()

    def _disturb(self, run: Running, truth: Truth, kind: str, hit: int, pids: list[int]) -> str:
        """Has a worker stand still until a copy of its task has been there."""
        (pid,) = pids
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_for("a copy", lambda: self._copies(hit) > 0 or run.has_ended)
            truth.hold(run.result())
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if self._copies(hit) == 0:
            raise Missed
        return f"worker {pid} stood still in stage {hit}, tasks that ran a second time: {self._copies(hit)}"

    def _copies(self, stage: int) -> int:
        """How many tasks of a stage have run a second time beside the first."""
        found: Any = self._spark.sparkContext._jsc.sc().statusStore().speculationSummary(stage, 0)
        return int(found.get().numTasks()) if found.isDefined() else 0
