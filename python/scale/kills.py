"""Kills parts of a cluster while gleaner exports on it, and holds what comes out against an export on one machine.

    python kills.py spark --executors 20 --workers 20 --both 5 --input DIR --out DIR
    python kills.py stragglers --stragglers 8 --input DIR --out DIR
    python kills.py ray --workers 20 --nodes 5 --input DIR --out DIR
    python kills.py drivers --input DIR --out DIR

Needs gleaner_sft on PYTHONPATH with PySpark or Ray, and Linux, whose /proc names the processes. A trial is good if the
export ends with the digest, the population, the strata and the malformed rows of one machine. A kill that came too late
to hit anything is tried again and not counted. The exit code is 1 if a trial was bad.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from driver_trials import DriverTrials, drive, with_ties
from ray_trials import RayTrials
from spark_trials import SparkTrials
from straggler_trials import Cluster, StragglerTrials
from trials import alone


def main() -> int:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["spark", "stragglers", "ray", "drivers", "drive"])
    parser.add_argument("engine", nargs="*", help="of drivers: spark, ray or both")
    parser.add_argument("--executors", type=int, default=20, help="losses of an executor")
    parser.add_argument("--workers", type=int, default=20, help="losses of a Python worker")
    parser.add_argument("--both", type=int, default=5, help="losses of both executors")
    parser.add_argument("--stragglers", type=int, default=8, help="Python workers that stand still")
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
    if given.what == "stragglers":
        with Cluster(out) as cluster:
            return StragglerTrials(inputs, out, cluster).all_stragglers(truth, given.stragglers)
    return RayTrials(inputs, out).all(truth, given.workers, given.nodes)


if __name__ == "__main__":
    sys.exit(main())
