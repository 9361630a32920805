"""Kills of drivers, whose command is given again."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from processes import descendants, kill, parent
from spark_trials import spark_session
from trials import Bad, Jobs, Missed, OPTIONS, TIMEOUT, POLL, Tally, Truth


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
        arguments = [sys.executable, str(Path(__file__).with_name("kills.py")), "drive", engine, "--out", str(self._out), "--name", name]
        for one in self._inputs:
            arguments += ["--input", one]
        with started(arguments, said) as first:
            kept, done = self._kill(first, jobs, job)
        with started(arguments, said) as second:
            self._watch(second, jobs, kept, done)
            code = second.wait(TIMEOUT)
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
