"""Kills of executors and Python workers."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from processes import command, descendants, kill, parent, ticks
from trials import Bad, Jobs, Missed, OPTIONS, POLL, Running, Tally, Truth, wait_for


GROUPS = 12
"""Tasks that group: fewer than there are pieces."""
LOCAL = "local-cluster[2,1,1024]"
KEYS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.deploy.maxExecutorRetries": "-1",
    "spark.task.maxFailures": "8",
    "spark.stage.maxConsecutiveAttempts": "8",
    "spark.excludeOnFailure.enabled": "false",
    "spark.sql.shuffle.partitions": str(GROUPS),
}


class SparkTrials:
    """Kills executors and Python workers of a session."""

    MOMENTS = (("census", "scan"), ("census", "group"), ("round0", "scan"), ("round0", "group"))
    BRINGS = (("census", "bring"), ("round0", "bring"))

    def __init__(
        self,
        inputs: list[str],
        out: Path,
        master: str = LOCAL,
        keys: Mapping[str, str] = KEYS,
    ) -> None:
        from gleaner_sft import spark as gleaner_spark

        self._on = gleaner_spark
        self._inputs = inputs
        self._out = out
        self._spark = spark_session(out, master, keys)
        self._tracker = self._spark.sparkContext.statusTracker()
        self._numbers = itertools.count()

    def all(self, truth: Truth, executors: int, workers: int, both: int) -> int:
        """Runs so many trials of each kind."""
        tally = Tally()
        losses = self.MOMENTS + self.BRINGS
        self.trials(tally, truth, "executor", executors, losses)
        self.trials(tally, truth, "Python worker", workers, self.MOMENTS)
        self.trials(tally, truth, "both", both, losses)
        self._spark.stop()
        return tally.close()

    def trials(self, tally: Tally, truth: Truth, kind: str, wanted: int, moments: tuple[tuple[str, str], ...]) -> None:
        """Runs so many trials of one kind, at each moment in turn."""
        for number in range(wanted):
            job, stage = moments[number % len(moments)]
            trial = lambda job=job, stage=stage, number=number: self.one(truth, kind, job, stage, number)
            tally.trial(kind, f"{stage} of {job}", trial)

    def one(self, truth: Truth, kind: str, job: str, stage: str, number: int) -> str:
        """Exports, disturbs it at a moment, and holds what came out against the truth."""
        run, jobs, folder = self._started()
        try:
            hit = self._wait_for(run, jobs, job, stage)
            pids = self._targets(kind, number)
            if not jobs.runs(job):
                raise Missed
            return self._disturb(run, truth, kind, hit, pids)
        except Missed:
            truth.hold(run.result())
            raise
        finally:
            run_down(run, folder, jobs.work)

    def _disturb(self, run: Running, truth: Truth, kind: str, hit: int, pids: list[int]) -> str:
        """Kills processes while a stage runs, and holds what came out against the truth."""
        kill(pids)
        failures = self._failures(run, hit)
        truth.hold(run.result())
        # A Python worker may have been idle; an executor held chunks that were still to be brought.
        if failures() == 0 and kind == "Python worker":
            raise Missed
        return f"{kind} {' '.join(map(str, pids))} in stage {hit}, {failures()} tasks failed"

    def _started(self) -> tuple[Running, Jobs, Path]:
        """An export that has begun, its jobs, and where it goes."""
        wait_for("two executors", lambda: len(self._executors()) == 2)
        name = f"spark{next(self._numbers)}"
        folder, jobs = self._out / name, Jobs(self._out / f"{name}-work")
        shutil.rmtree(folder, ignore_errors=True)
        export = lambda: self._on.export(
            self._spark, self._inputs, out=folder, work_dir=jobs.work, fresh=True, **OPTIONS
        )
        return Running(export), jobs, folder

    def _wait_for(self, run: Running, jobs: Jobs, job: str, stage: str) -> int:
        """Waits until a stage of a job has tasks that run, and gives its number.

        The scan has a task for each piece, and there are more pieces than partitions of a shuffle; a group has as many
        as these; the stage that spreads the pieces has fewer. Then chunks are brought.
        """
        spread = self._spark.sparkContext.defaultParallelism
        found = [-1]
        before = set(self._active())

        def is_so() -> bool:
            if not jobs.began(job):
                before.update(self._active())
                return False
            if not jobs.runs(job):
                raise Missed
            if stage == "bring":
                return jobs.has_chunks(job)
            for number, tasks in self._active().items():
                if number in before or tasks <= spread:
                    continue
                if (tasks <= GROUPS) == (stage == "group"):
                    found[0] = number
                    return True
                if stage == "scan":
                    raise Missed
            return False

        run.until(is_so)
        return found[0]

    def _active(self) -> dict[int, int]:
        """The stages that have tasks that run, and their numbers of tasks."""
        found = {}
        for number in self._tracker.getActiveStageIds():
            info = self._tracker.getStageInfo(number)
            if info is not None and info.numActiveTasks > 0:
                found[number] = info.numTasks
        return found

    def _failures(self, run: Running, stage: int) -> Callable[[], int]:
        """Counts what has failed of a stage, until the export has ended: Spark soon forgets stages."""
        most = [0]

        def watch() -> None:
            while True:
                has_ended = run.has_ended
                info = self._tracker.getStageInfo(stage) if stage >= 0 else None
                if info is not None:
                    most[0] = max(most[0], info.numFailedTasks + info.currentAttemptId)
                if has_ended or most[0] > 0:
                    return
                time.sleep(POLL)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()

        def failures() -> int:
            thread.join()
            return most[0]

        return failures

    def _executors(self) -> list[int]:
        return [pid for pid in descendants(os.getpid()) if "executor.CoarseGrainedExecutorBackend" in command(pid)]

    def _targets(self, kind: str, number: int) -> list[int]:
        """The processes to kill."""
        executors = sorted(self._executors())
        if kind == "both":
            return executors
        if not executors:
            raise Missed
        executor = executors[number // 4 % len(executors)]
        if kind == "executor":
            return [executor]
        return [busiest(executor)]


def busiest(executor: int) -> int:
    """The Python worker of an executor that works: its daemons fork them, and idle ones are kept."""
    below = {pid: command(pid) for pid in descendants(executor)}
    workers = [pid for pid, line in below.items() if "pyspark.daemon" in line and parent(pid) in below]
    if not workers:
        raise Missed
    before = {pid: ticks(pid) for pid in workers}
    time.sleep(3 * POLL)
    return max(workers, key=lambda pid: ticks(pid) - before[pid])


def run_down(run: Running, *folders: Path) -> None:
    """Waits for an export's end and removes what it has written."""
    with contextlib.suppress(Bad):
        run.result()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def spark_session(out: Path, master: str = LOCAL, keys: Mapping[str, str] = KEYS) -> Any:
    """Two executors of one core, which are started again whenever they die."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_WORKER_DIR", str(out / "spark"))
    os.environ.setdefault("SPARK_LOCAL_DIRS", str(out / "spark"))
    builder = SparkSession.builder.master(master)
    builder = builder.config("spark.executorEnv.PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    for key, value in keys.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session
