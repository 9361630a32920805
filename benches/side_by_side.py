#!/usr/bin/env python3
"""Times gleaner against a careful Python script (orjson, two passes: index, then copy the chosen rows) on the
same made-up conversations, in turn, and prints CPU, wall, peak memory and their ratios.

  cargo build --profile dist && python3 benches/side_by_side.py [--conversations 60000] [--rounds 3]

Needs `pip install orjson xxhash`. gleaner also syncs, digests and validates twice; the script does neither."""
import argparse, json, os, resource, shutil, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GLEANER = f"{ROOT}/target/dist/gleaner"
TARGETS = {"train": (4000, 9000, 6000), "val": (400, 1000, 700), "test": (400, 900, 600)}
BUCKETS = {"short": (3, 5), "medium": (6, 10), "long": (11, 20)}

def two_pass(source, out):
    import collections, glob, heapq, orjson, xxhash
    def split_of(i):
        h = xxhash.xxh64_intdigest(i.encode()); r = (h - (1 << 64) if h >> 63 else h) % 100
        return "train" if r < 83 else "val" if r < 92 else "test"
    files = sorted(glob.glob(source + "/*.jsonl")); seen = set(); pools = collections.defaultdict(list)
    for number, name in enumerate(files):
        at = 0
        with open(name, "rb") as f:
            for line in f:
                try: r = orjson.loads(line); i = r["conversationId"]; t = r["turnsArray"]
                except (orjson.JSONDecodeError, KeyError): at += len(line); continue
                bucket = next((b for b, (lo, hi) in BUCKETS.items() if lo <= len(t) <= hi), None)
                good = (r["userName"] or "").strip() and all((x["userMessage"] or "").strip() for x in t) and [x["turnIndex"] for x in t] == list(range(1, len(t) + 1))
                if i not in seen and bucket and good:
                    seen.add(i); pools[split_of(i), bucket].append((xxhash.xxh64_intdigest(("s/" + i).encode()), number, at, len(line)))
                at += len(line)
    handles = [os.open(f, os.O_RDONLY) for f in files]
    for split, targets in TARGETS.items():
        os.makedirs(f"{out}/{split}")
        for bucket, target in zip(BUCKETS, targets):
            with open(f"{out}/{split}/{bucket}.jsonl", "wb") as o:
                for _, number, at, n in heapq.nsmallest(target, pools[split, bucket]): o.write(os.pread(handles[number], n, at))

def run(command):
    """(wall s, CPU s, peak MB) of a whole process."""
    read, write = os.pipe(); child = os.fork()
    if child == 0:
        start = time.monotonic(); code = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        os.write(write, json.dumps([time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, code]).encode()); os._exit(0)
    os.close(write); result = json.loads(os.read(read, 4096)); os.close(read); os.waitpid(child, 0)
    if result[3]: sys.exit(f"{command[0]}: exit {result[3]}")
    return result[:3]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=60000); parser.add_argument("--rounds", type=int, default=3); parser.add_argument("--two-pass", nargs=2)
    args = parser.parse_args()
    if args.two_pass: return two_pass(*args.two_pass)
    folder = tempfile.mkdtemp(prefix="gleaner-bench-"); source = f"{folder}/in"; out = f"{folder}/out"
    subprocess.run([GLEANER, "synth", "--conversations", str(args.conversations), "--schema", "conversations", "--out", source], check=True)
    sets = [f"--set=selection.targets.{s}.{b}={n}" for s, t in TARGETS.items() for b, n in zip(BUCKETS, t)]
    jobs = {"two-pass Python": [sys.executable, __file__, "--two-pass", source, out],
            "gleaner": [GLEANER, "export", "--input", source, "--out", out, "--work-dir", f"{out}/work", "--seed", "s", "--progress", "none", "--format", "jsonl", *sets]}
    results = {name: [] for name in jobs}
    for _ in range(args.rounds):
        for name, command in jobs.items():
            shutil.rmtree(out, ignore_errors=True); os.makedirs(out); os.sync(); results[name].append(run(command))
    shutil.rmtree(folder)
    median = {name: [statistics.median(r[i] for r in rows) for i in range(3)] for name, rows in results.items()}
    print(f"{'':18}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}")
    for name, (wall, cpu, mb) in median.items(): print(f"{name:18}{wall:9.2f}{cpu:9.2f}{mb:9.0f}")
    a, b = median["gleaner"], median["two-pass Python"]
    print(f"gleaner / Python: wall {a[0] / b[0]:.2f}, CPU {a[1] / b[1]:.2f}")

if __name__ == "__main__": main()
