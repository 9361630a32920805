"""Kills of Ray's workers and nodes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from processes import command, descendants, kill
from spark_trials import run_down
from trials import Jobs, Missed, OPTIONS, Running, Tally, Truth, wait_for


class RayTrials:
    """Kills workers and nodes of a cluster whose head holds the driver."""

    MOMENTS = (("census", "scan"), ("census", "group"), ("round0", "scan"), ("round0", "group"))

    def __init__(self, inputs: list[str], out: Path) -> None:
        import ray
        from gleaner_sft import ray as gleaner_ray
        from ray.cluster_utils import Cluster

        self._on = gleaner_ray
        self._ray = ray
        self._inputs = inputs
        self._out = out
        self._numbers = itertools.count()
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": 10**9, "include_dashboard": False},
        )
        self._nodes = [self._add(), self._add()]
        ray.init(address=self._cluster.address, log_to_driver=False)

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=10**9)

    def all(self, truth: Truth, workers: int, nodes: int) -> int:
        """Runs so many trials of each kind."""
        tally = Tally()
        for kind, wanted in (("worker", workers), ("node", nodes)):
            for number in range(wanted):
                job, task = self.MOMENTS[number % len(self.MOMENTS)]
                trial = lambda kind=kind, job=job, task=task, number=number: self.one(truth, kind, job, task, number)
                tally.trial(kind, f"{task} of {job}", trial)
        self._ray.shutdown()
        self._cluster.shutdown()
        return tally.close()

    def one(self, truth: Truth, kind: str, job: str, task: str, number: int) -> str:
        """Exports, kills at a moment, and holds what came out against the truth."""
        wait_for("two nodes", lambda: self._ray.cluster_resources().get("CPU") == 2)
        name = f"ray{next(self._numbers)}"
        jobs = Jobs(self._out / f"{name}-work")
        shutil.rmtree(self._out / name, ignore_errors=True)
        run = Running(
            lambda: self._on.export(self._inputs, out=self._out / name, work_dir=jobs.work, fresh=True, **OPTIONS)
        )
        try:
            killed = self._kill(run, jobs, kind, job, task, number)
            truth.hold(run.result())
            return killed
        except Missed:
            truth.hold(run.result())
            raise
        finally:
            run_down(run, self._out / name, jobs.work)

    def _kill(self, run: Running, jobs: Jobs, kind: str, job: str, task: str, number: int) -> str:
        nodes = self._nodes if number // 4 % 2 == 0 else self._nodes[::-1]
        held: list[tuple[Any, int]] = []

        def is_so() -> bool:
            if jobs.is_done(job):
                raise Missed
            if not jobs.runs(job):
                return False
            for node in nodes:
                pid = held_in(raylet(node), f"ray::{task}")
                if pid is not None:
                    held.append((node, pid))
                    return True
            return False

        run.until(is_so)
        node, pid = held[0]
        # It stands still amid its task.
        if not jobs.runs(job):
            os.kill(pid, signal.SIGCONT)
            raise Missed
        if kind == "worker":
            kill([pid])
            return f"process {pid} of {task}"
        below = descendants(raylet(node))
        self._cluster.remove_node(node, allow_graceful=False)
        kill(below)
        self._nodes.remove(node)
        self._nodes.append(self._add())
        return f"node with process {pid} of {task} and {len(below) - 1} others"


def raylet(node: Any) -> int:
    """The process of a node below which its workers are."""
    return int(node.all_processes["raylet"][0].process.pid)


def held_in(node: int, title: str) -> int | None:
    """Stops a worker of a node that runs a task, so that it surely is in it."""
    for pid in descendants(node):
        if not command(pid).startswith(title):
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            if command(pid).startswith(title):
                return pid
            os.kill(pid, signal.SIGCONT)
    return None
