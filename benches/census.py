#!/usr/bin/env python3
"""What a census of some ranks costs at several populations: bytes that come from the emulator, and memory.

    python3 benches/census.py FOLDER [POPULATION ...]

FOLDER has the programs gleaner and gleaner-kusto-emulator. Conversations have 13 turns and 4 KB on the average.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

TARGETS = {"train": (9000, 12000, 12000), "val": (900, 1200, 1200), "test": (900, 1200, 1200)}


class Meter:
    """Passes requests on to a port, and counts the bytes that come back."""

    def __init__(self, port):
        self.bytes = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = port
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for source, sink, counts in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pass_on, args=(source, sink, counts), daemon=True).start()

    def pass_on(self, source, sink, counts):
        try:
            while piece := source.recv(1 << 16):
                if counts:
                    self.bytes += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def export(folder, population, mode, scratch):
    emulator = subprocess.Popen(
        [f"{folder}/gleaner-kusto-emulator", "--plain", "--conversations", str(population), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(re.search(r":(\d+)\s*$", emulator.stdout.readline()).group(1))
        meter = Meter(port)
        name = f"{mode}-{population}"
        args = [
            f"{folder}/gleaner", "export", "--schema", "turns", "--out", f"{scratch}/out", "--name", name,
            "--work-dir", f"{scratch}/work-{name}", "--progress", "none", "--json",
            "--window-start", "2025-01-01T00:00:00Z", "--window-end", "2025-06-01T00:00:00Z",
            "--set", "source.kind=kusto", "--set", f"source.kusto.cluster=http://127.0.0.1:{meter.port}",
            "--set", f"source.kusto.census_mode={mode}",
        ]  # fmt: skip
        for split, (short, medium, long) in TARGETS.items():
            args += ["--set", f"selection.targets.{split}={{short={short},medium={medium},long={long}}}"]
        start = time.monotonic()
        run = subprocess.Popen(args, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(run.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise SystemExit(f"{name}: exit code {code}")
        cpu = usage.ru_utime + usage.ru_stime
        return meter.bytes, usage.ru_maxrss * 1024, cpu, time.monotonic() - start
    finally:
        emulator.kill()
        emulator.wait()


def main():
    folder, *populations = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        print("| conversations | census | MB that came | peak MB | CPU s |\n|---|---|---|---|---|")
        for population in map(int, populations or ("335000", "10000000")):
            for mode in ("thresholds", "full"):
                came, peak, cpu, _ = export(folder, population, mode, scratch)
                print(f"| {population:,} | {mode} | {came / 1e6:.1f} | {peak / 1e6:.1f} | {cpu:.1f} |", flush=True)


if __name__ == "__main__":
    main()
