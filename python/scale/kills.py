"""Kills parts of a cluster while gleaner exports on it, and holds what comes out against an export on one machine.

    python kills.py spark --executors 20 --workers 20 --both 5 --input DIR --out DIR
    python kills.py ray --workers 20 --nodes 5 --input DIR --out DIR
    python kills.py drivers --input DIR --out DIR

Needs gleaner_sft on PYTHONPATH with PySpark or Ray, and Linux, whose /proc names the processes. A trial is good if the
export ends with the digest, the population, the strata and the malformed rows of one machine. A kill that came too late
to hit anything is tried again and not counted. The exit code is 1 if a trial was bad.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import gleaner_sft

OPTIONS: dict[str, Any] = {
    "config": {"name": "d", "limits": {"max_malformed_percent": 100}},
    "targets": "all",
    "seed": "s1",
}
LEDGER = ("population", "strata", "malformed")
POLL = 0.01
PATIENCE = 600.0
"""Seconds after which an export that has not ended counts as hanging."""
TRIES = 15
"""How often a kill that hits nothing is tried again."""


class Missed(Exception):
    """The kill hit nothing: the job was over before."""


class Bad(Exception):
    """A trial has shown a fault."""


@dataclasses.dataclass
class Truth:
    """What one machine has made of the input."""

    digest: str
    ledger: dict[str, Any]

    @classmethod
    def of(cls, result: gleaner_sft.ExportResult) -> Truth:
        """What an export has made."""
        return cls(result.content_sha256, {key: result.manifest[key] for key in LEDGER})

    def hold(self, other: Truth) -> None:
        """Raises `Bad` if an export has made something else."""
        if other.digest != self.digest:
            raise Bad(f"the digest is {other.digest} and not {self.digest}")
        for key in LEDGER:
            if other.ledger[key] != self.ledger[key]:
                raise Bad(f"{key} is {other.ledger[key]} and not {self.ledger[key]}")


def alone(inputs: list[str], out: Path) -> Truth:
    """Exports on one machine."""
    for name in ("alone", "alone-work"):
        shutil.rmtree(out / name, ignore_errors=True)
    result = gleaner_sft.export(
        input=inputs, out=out / "alone", work_dir=out / "alone-work", fresh=True, progress=False, **OPTIONS
    )
    return Truth.of(result)


# What /proc says.


def parent(pid: int) -> int | None:
    """The parent of a process that runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if fields[0] == "Z" else int(fields[1])


def descendants(of: int) -> list[int]:
    """The processes that run below a process."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (above := parent(int(entry))) is not None:
            children.setdefault(above, []).append(int(entry))
    found = list(children.get(of, []))
    for pid in found:
        found += children.get(pid, [])
    return found


def command(pid: int) -> str:
    """The command line of a process, or nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def ticks(pid: int) -> int:
    """The processor time that a process has used."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0
    return int(fields[11]) + int(fields[12])


def kill(pids: Iterable[int]) -> None:
    """Kills processes; some may be gone already."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_for(what: str, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Waits until something is so."""
    end = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > end:
            raise Bad(f"waited {patience:.0f} s for {what}")
        time.sleep(POLL)


# What a run leaves in its work directory while it runs.


@dataclasses.dataclass(frozen=True)
class Jobs:
    """The jobs of a run, by what its work directory has."""

    work: Path

    def folder(self, job: str) -> Path:
        """Where a job keeps its chunks. Decisions are part of the census that they are for."""
        below = self.work / "chunks" / "engine"
        return below / "census" / "decisions" if job == "decisions" else below / job

    def began(self, job: str) -> bool:
        """Whether a job has begun."""
        return self.folder(job).is_dir()

    def is_done(self, job: str) -> bool:
        """Whether a job is done."""
        return (self.folder(job) / "done.json").exists()

    def runs(self, job: str) -> bool:
        """Whether a job runs."""
        return self.began(job) and not self.is_done(job)

    def marks(self, job: str) -> dict[str, tuple[int, int]]:
        """A job's chunks, with what changes if one is written again: its file's time and number."""
        found = {}
        for path in self.folder(job).glob("*.chunk"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found[path.name] = (state.st_mtime_ns, state.st_ino)
        return found

    def has_chunks(self, job: str) -> bool:
        """Whether a job has kept a chunk."""
        return any(self.folder(job).glob("*.chunk"))


class Running:
    """An export on a thread."""

    def __init__(self, export: Callable[[], gleaner_sft.ExportResult]) -> None:
        self._export = export
        self._result: gleaner_sft.ExportResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._export()
        except BaseException as error:
            self._error = error

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def result(self) -> Truth:
        """Waits for its end."""
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise Bad(f"the export has not ended after {PATIENCE:.0f} s")
        if self._error is not None:
            raise Bad(f"the export failed: {type(self._error).__name__}: {self._error}")
        assert self._result is not None
        return Truth.of(self._result)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Waits for a moment of it; `Missed` if it ends before."""
        while not is_so():
            if self.has_ended:
                self.result()
                raise Missed
            time.sleep(POLL)


# Trials.


@dataclasses.dataclass
class Count:
    """How many trials of a kind were good."""

    good: int = 0
    trials: int = 0
    missed: int = 0


class Tally:
    """Runs trials, and says what came of each."""

    def __init__(self) -> None:
        self._counts: dict[str, Count] = {}

    def trial(self, kind: str, moment: str, run: Callable[[], str]) -> None:
        """Runs a trial, again if it hits nothing. It says what it has killed, or raises `Bad`."""
        count = self._counts.setdefault(kind, Count())
        began = time.monotonic()
        for _ in range(TRIES):
            try:
                killed, said = run(), "equal"
            except Missed:
                count.missed += 1
                continue
            except Bad as error:
                killed, said = kind, f"NOT EQUAL: {error}"
            break
        else:
            killed, said = kind, f"NOT EQUAL: hit nothing in {TRIES} tries"
        count.trials += 1
        count.good += said == "equal"
        print(f"{kind} {count.trials}: {moment}: {killed}: {said}, {time.monotonic() - began:.1f} s", flush=True)

    def close(self) -> int:
        """Says the counts, and gives the exit code."""
        said = [f"{kind} {of.good} of {of.trials} (missed {of.missed})" for kind, of in self._counts.items()]
        is_good = all(count.good == count.trials for count in self._counts.values())
        print(f"{'good' if is_good else 'BAD'}: " + "; ".join(said), flush=True)
        return 0 if is_good else 1


# Spark.


class SparkTrials:
    """Kills executors and Python workers of a session."""

    MOMENTS = (("census", "scan"), ("census", "group"), ("round0", "scan"), ("round0", "group"))
    BRINGS = (("census", "bring"), ("round0", "bring"))

    def __init__(self, inputs: list[str], out: Path) -> None:
        from gleaner_sft import spark as gleaner_spark

        self._on = gleaner_spark
        self._inputs = inputs
        self._out = out
        self._spark = spark_session(out)
        self._tracker = self._spark.sparkContext.statusTracker()
        self._numbers = itertools.count()

    def all(self, truth: Truth, executors: int, workers: int, both: int) -> int:
        """Runs so many trials of each kind."""
        tally = Tally()
        losses = self.MOMENTS + self.BRINGS
        kinds = [("executor", executors, losses), ("Python worker", workers, self.MOMENTS), ("both", both, losses)]
        for kind, wanted, moments in kinds:
            for number in range(wanted):
                job, stage = moments[number % len(moments)]
                trial = lambda kind=kind, job=job, stage=stage, number=number: self.one(truth, kind, job, stage, number)
                tally.trial(kind, f"{stage} of {job}", trial)
        self._spark.stop()
        return tally.close()

    def one(self, truth: Truth, kind: str, job: str, stage: str, number: int) -> str:
        """Exports, kills at a moment, and holds what came out against the truth."""
        wait_for("two executors", lambda: len(self._executors()) == 2)
        name = f"spark{next(self._numbers)}"
        jobs = Jobs(self._out / f"{name}-work")
        shutil.rmtree(self._out / name, ignore_errors=True)
        run = Running(
            lambda: self._on.export(
                self._spark, self._inputs, out=self._out / name, work_dir=jobs.work, fresh=True, **OPTIONS
            )
        )
        try:
            hit = self._wait_for(run, jobs, job, stage)
            pids = self._prey(kind, number)
            if not jobs.runs(job):
                raise Missed
            kill(pids)
            failures = self._failures(run, hit)
            truth.hold(run.result())
            # A Python worker may have been idle; an executor held chunks that were still to be brought.
            if failures() == 0 and kind == "Python worker":
                raise Missed
            return f"{kind} {' '.join(map(str, pids))} in stage {hit}, {failures()} tasks failed"
        except Missed:
            truth.hold(run.result())
            raise
        finally:
            run_down(run, self._out / name, jobs.work)

    def _wait_for(self, run: Running, jobs: Jobs, job: str, stage: str) -> int:
        """Waits until a stage of a job has tasks that run, and gives its number.

        The scan is the first stage of a job that has more tasks than the one which spreads the pieces; what is grouped
        is counted, and Spark names that stage so; then chunks are brought one after the other.
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
            for number, (name, tasks) in self._active().items():
                if number in before or tasks <= spread:
                    continue
                if name.startswith("count ") == (stage == "group"):
                    found[0] = number
                    return True
                if stage == "scan":
                    raise Missed
            return False

        run.until(is_so)
        return found[0]

    def _active(self) -> dict[int, tuple[str, int]]:
        """The stages that have tasks that run: name and number of tasks."""
        found = {}
        for number in self._tracker.getActiveStageIds():
            info = self._tracker.getStageInfo(number)
            if info is not None and info.numActiveTasks > 0:
                found[number] = (info.name, info.numTasks)
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

    def _prey(self, kind: str, number: int) -> list[int]:
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


def spark_session(out: Path) -> Any:
    """Two executors of one core, which are started again whenever they die."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_WORKER_DIR", str(out / "spark"))
    os.environ.setdefault("SPARK_LOCAL_DIRS", str(out / "spark"))
    keys = {
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.deploy.maxExecutorRetries": "-1",
        "spark.task.maxFailures": "8",
        "spark.stage.maxConsecutiveAttempts": "8",
        "spark.excludeOnFailure.enabled": "false",
        "spark.sql.shuffle.partitions": "12",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for key, value in keys.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


# Ray.


class RayTrials:
    """Kills workers and nodes of a cluster whose head holds the driver."""

    MOMENTS = (("census", "_scan"), ("census", "_group"), ("round0", "_scan"), ("round0", "_group"))

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


# Drivers.


class DriverTrials:
    """Kills drivers, and starts them again."""

    JOBS = ("census", "decisions", "round0")

    def __init__(self, inputs: list[str], out: Path) -> None:
        self._inputs = inputs
        self._out = out
        self._numbers = itertools.count()

    def all(self, truth: Truth, engines: list[str]) -> int:
        """Runs a trial for each job of each engine."""
        tally = Tally()
        for engine in engines:
            for job in self.JOBS:
                tally.trial(f"{engine} driver", job, lambda engine=engine, job=job: self.one(truth, engine, job))
        return tally.close()

    def one(self, truth: Truth, engine: str, job: str) -> str:
        """Kills a driver once a job has kept a chunk, and starts it again."""
        name = f"driver{next(self._numbers)}"
        jobs = Jobs(self._out / f"{name}-work")
        for folder in (self._out / name, jobs.work):
            shutil.rmtree(folder, ignore_errors=True)
        said = self._out / f"{name}.log"
        arguments = [sys.executable, __file__, "drive", engine, "--out", str(self._out), "--name", name]
        for one in self._inputs:
            arguments += ["--input", one]
        with started(arguments, said) as first:
            kept, done = self._kill(first, jobs, job)
        with started(arguments, said) as second:
            self._watch(second, jobs, kept, done)
            code = second.wait(PATIENCE)
        if code != 0:
            raise Bad(f"the second start ended with {code}:\n{said.read_text()}")
        last = json.loads((self._out / f"{name}.json").read_text())
        truth.hold(Truth(**last))
        self._hold_said(said.read_text(), job, len(kept[job]), done)
        shutil.rmtree(self._out / name)
        shutil.rmtree(jobs.work)
        return f"driver of {engine} with {len(kept[job])} chunks of {job} kept, {' '.join(done) or 'nothing'} done"

    def _kill(
        self, process: subprocess.Popen[bytes], jobs: Jobs, job: str
    ) -> tuple[dict[str, dict[str, tuple[int, int]]], list[str]]:
        """Kills the driver, and gives the chunks of each job that it has left and the jobs that were done."""
        while not jobs.has_chunks(job):
            if process.poll() is not None:
                if process.returncode != 0:
                    raise Bad(f"the first start ended with {process.returncode}")
                raise Missed
            time.sleep(POLL / 10)
        process.kill()
        process.wait()
        if not jobs.runs(job):
            shutil.rmtree(jobs.work, ignore_errors=True)
            raise Missed
        done = [one for one in self.JOBS if jobs.is_done(one)]
        return {one: jobs.marks(one) for one in self.JOBS if jobs.began(one)}, done

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        jobs: Jobs,
        kept: dict[str, dict[str, tuple[int, int]]],
        done: list[str],
    ) -> None:
        """Sees that no chunk which was kept is written again while its job runs.

        A census is written again where decisions belong in it; until they are made it stays.
        """
        looks = 0
        open_jobs = {one for one in kept if one not in done}
        while process.poll() is None and not jobs.is_done("round0"):
            for one in sorted(open_jobs):
                is_done = jobs.is_done(one)
                now = jobs.marks(one)
                if not now and not jobs.began(one):
                    continue
                changed = [name for name, mark in kept[one].items() if now.get(name) != mark]
                if changed and not (one == "census" and jobs.began("decisions")):
                    raise Bad(f"chunks of {one} that were kept were made again: {changed}")
                looks += 1
                if is_done:
                    open_jobs.discard(one)
            time.sleep(POLL)
        if open_jobs and not looks:
            raise Bad("the work directory was not seen in time")

    def _hold_said(self, said: str, job: str, kept: int, done: list[str]) -> None:
        """Holds what the second start said of its jobs against what the first had left."""
        brought = {
            line[1]: (int(line[2]), int(line[3]))
            for line in re.finditer(r"^gleaner on \w+: (\w+): .* (\d+) of (\d+) chunks grouped", said, re.MULTILINE)
        }
        again = [one for one in done if one in brought]
        if again:
            raise Bad(f"jobs that were done have run again: {again}")
        grouped, chunks = brought.get(job, (0, 0))
        if job not in brought:
            raise Bad(f"the job {job} did not run again:\n{said}")
        if grouped + kept > chunks:
            raise Bad(f"of {chunks} chunks of {job} {kept} were kept, and {grouped} were grouped again")


@contextlib.contextmanager
def started(arguments: list[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver; in the end what it has started itself is gone, too."""
    with said.open("wb") as into:
        process = subprocess.Popen(arguments, stdout=into, stderr=into)
    below: set[int] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.2):
            below.update(descendants(process.pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        is_over.set()
        thread.join()
        lives = lambda: [pid for pid in below if parent(pid) is not None]
        end = time.monotonic() + 20
        while lives() and time.monotonic() < end:
            time.sleep(0.1)
        kill(lives())


def drive(engine: str, inputs: list[str], out: Path, name: str) -> int:
    """A driver: exports, and writes what came out."""
    options = {**OPTIONS, "out": out / name, "work_dir": out / f"{name}-work"}
    if engine == "spark":
        from gleaner_sft import spark as gleaner_spark

        spark = spark_session(out)
        result = gleaner_spark.export(spark, inputs, **options)
    else:
        import ray
        from gleaner_sft import ray as gleaner_ray

        ray.init(num_cpus=2, object_store_memory=10**9, include_dashboard=False, log_to_driver=False)
        result = gleaner_ray.export(inputs, **options)
    (out / f"{name}.json").write_text(json.dumps(dataclasses.asdict(Truth.of(result))))
    return 0


def with_ties(folder: str, out: Path) -> list[str]:
    """The input, with a file of rows that say other things at the same time: only decisions tell which one counts."""
    rows = next(path for path in sorted(Path(folder).iterdir()) if path.suffix == ".jsonl")
    tied = out / "tied"
    tied.mkdir(parents=True, exist_ok=True)
    with rows.open("rb") as lines, (tied / "ties.jsonl").open("w") as into:
        for line in itertools.islice(lines, 0, 5000, 10):
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("userMessage"), str):
                into.write(json.dumps({**row, "userMessage": row["userMessage"] + " Please."}) + "\n")
    return [folder, str(tied)]


def main() -> int:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["spark", "ray", "drivers", "drive"])
    parser.add_argument("engine", nargs="*", help="of drivers: spark, ray or both")
    parser.add_argument("--executors", type=int, default=20, help="losses of an executor")
    parser.add_argument("--workers", type=int, default=20, help="losses of a Python worker")
    parser.add_argument("--both", type=int, default=5, help="losses of both executors")
    parser.add_argument("--nodes", type=int, default=5, help="losses of a node")
    parser.add_argument("--input", action="append", required=True, help="a folder of rows of turns (gleaner synth)")
    parser.add_argument("--out", type=Path, required=True, help="a folder for what is written")
    parser.add_argument("--name", help=argparse.SUPPRESS)
    given = parser.parse_args()
    out: Path = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    inputs = [str(Path(one).resolve()) for one in given.input]
    if given.what == "drive":
        return drive(given.engine[0], inputs, out, given.name)
    if given.what == "drivers":
        inputs = with_ties(inputs[0], out)
        return DriverTrials(inputs, out).all(alone(inputs, out), given.engine or ["spark", "ray"])
    truth = alone(inputs, out)
    print(f"one machine: {truth.digest}", flush=True)
    if given.what == "spark":
        return SparkTrials(inputs, out).all(truth, given.executors, given.workers, given.both)
    return RayTrials(inputs, out).all(truth, given.workers, given.nodes)


if __name__ == "__main__":
    sys.exit(main())
