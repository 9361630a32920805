#!/usr/bin/env python3
"""Reads one recorded Kusto answer with gleaner and with the official Python client, side by side.

    benches/kusto_wire.py [--mb 200] [--rounds 3] [--gleaner target/dist/gleaner]

The answer (plain frames, rows of 20 KB) is made once, kept in memory by a server on the loopback, and replayed byte for
byte. gleaner delivers, checks and seals every row, in one pass and one chunk, and samples a single record; the Python client
(azure-kusto-data) parses the rows and throws them away. CPU and peak memory are those of the client's process alone.
Before every run, memory is taken and given back: some hypervisors take memory that lies idle away from the machine, and
whoever needs it next would pay for that, microseconds a page.
Needs `pip install azure-kusto-data xxhash`; `./test.sh` has installed both for the Python in target/test-tools.
"""
import argparse, json, multiprocessing, os, random, statistics, subprocess, sys, tempfile, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROW = 20_000
COLUMNS = [("conversationId", "string"), ("userName", "string"), ("turnCount", "long"), ("bucket", "string"), ("turnsArray", "dynamic"),
           ("promptTokens", "long"), ("completionTokens", "long"), ("llmCallCount", "long"), ("lastTimestamp", "datetime")]
PYTHON = """
import sys
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
client = KustoClient(KustoConnectionStringBuilder.with_no_authentication(sys.argv[1]))
if sys.argv[2] == "execute":
    rows = sum(1 for row in client.execute("db", "T").primary_results[0])
else:
    tables = client.execute_streaming_query("db", "T")
    table = next(iter(tables.iter_primary_results()))
    rows = sum(1 for row in table)
print(rows)
"""

def columns(spec):
    return [{"ColumnName": name, "ColumnType": kind} for name, kind in spec]

def answer(rows, spec):
    frames = ['{"FrameType":"DataSetHeader","IsProgressive":false,"Version":"v2.0"}',
              '{"FrameType":"DataTable","TableId":1,"TableKind":"PrimaryResult","TableName":"PrimaryResult","Columns":%s,"Rows":[%s]}'
              % (json.dumps(columns(spec)), ",".join(rows)),
              '{"FrameType":"DataTable","TableId":2,"TableKind":"QueryCompletionInformation","TableName":"QueryCompletionInformation","Columns":%s,"Rows":[[4,"{}"]]}'
              % json.dumps(columns([("Level", "int"), ("Payload", "string")])),
              '{"FrameType":"DataSetCompletion","HasErrors":false,"Cancelled":false}']
    return ("[" + ",".join(frames) + "]").encode()

def made_up(megabytes):
    """Rows with text, code and tool calls, in the proportions of agent telemetry."""
    import xxhash
    chance, rows, checksum = random.Random(1), [], 0
    words = ["the", "parser", "fails", "on", "Windows", "naïve", "日本語", "retry", "\"quoted\"", "C:\\src\\main.rs", "fn main() {\n    run();\n}\n", "test"]
    sentence = lambda size: " ".join(chance.choice(words) for _ in range(size // 7))
    texts = [sentence(1500) for _ in range(200)]
    for number in range(megabytes * 1_000_000 // ROW):
        name = f"conversation-{number:08}"
        turns = [{"turnIndex": turn, "userMessage": chance.choice(texts)[:400], "modelMessage": chance.choice(texts), "promptTokens": 900, "completionTokens": 200, "llmCallCount": 2,
                  "trajectory": [{"tool": "read_file", "arguments": {"path": "/a/b.rs", "line": turn}, "result": chance.choice(texts)[:900]}]} for turn in range(1, 9)]
        row = json.dumps([name, "user", 8, "medium", turns, 7200, 1600, 16, "2025-01-01T00:00:00.1234567Z"], ensure_ascii=False, separators=(",", ":"))
        rows.append(row)
        hashed = xxhash.xxh64_intdigest(name.encode())
        checksum += (hashed - (1 << 64) if hashed >= 1 << 63 else hashed) % 1_000_000_007
    return rows, checksum

def serve(megabytes, ready):
    rows, checksum = made_up(megabytes)
    payload = answer(rows, COLUMNS)
    certificate = answer([json.dumps([len(rows), checksum])], [("conversations", "long"), ("checksum", "long")])
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def log_message(self, *_): pass
        def do_GET(self):
            self.send_response(404); self.send_header("Content-Length", "0"); self.end_headers()
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            body = certificate if b"summarize conversations" in asked else payload
            self.send_response(200); self.send_header("Content-Type", "application/json"); self.send_header("Content-Length", str(len(body))); self.end_headers()
            try: self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError): pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.send((f"http://127.0.0.1:{server.server_port}", len(payload), len(rows)))
    server.serve_forever()

def warm(folder, size):
    """Has the machine's memory there for the run that follows, whichever it is."""
    with open(f"{folder}/warm", "wb") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    os.remove(f"{folder}/warm")

def measure(command, folder):
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Its output is small: it fits into the pipes.
    _, status, used = os.wait4(process.pid, 0)
    out, err = process.stdout.read(), process.stderr.read()
    if status != 0:
        sys.exit(f"{command[0]} failed: {err.decode()[-2000:]}{out.decode()[-500:]}")
    return used.ru_utime + used.ru_stime, time.monotonic() - begun, used.ru_maxrss / 1000

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gleaner", default="target/dist/gleaner")
    parser.add_argument("--peers", default="execute,streaming")
    options = parser.parse_args()
    # In a process of its own: what this one holds would count as the peak memory of its children.
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    spawn.Process(target=serve, args=(options.mb, there), daemon=True).start()
    cluster, size, rows = here.recv()
    print(f"{size / 1e6:.0f} MB, {rows} rows")
    gleaner = [os.path.abspath(options.gleaner), "export", "--fresh", "--schema", "turns", "--set", "source.kind=kusto", "--set", f"source.kusto.cluster={cluster}", "--set", "source.kusto.passes=1",
               "--chunks", "1", "--window-start", "2025-01-01T00:00:00Z", "--window-end", "2026-01-01T00:00:00Z", "--work-dir", "work", "--out", "out", "--progress", "none",
               "--set", "selection.targets.train={short=0,medium=1,long=0}", "--set", "selection.targets.val={short=0,medium=0,long=0}", "--set", "selection.targets.test={short=0,medium=0,long=0}"]
    found = {}
    for round in range(options.rounds):
        for name in ["gleaner", *filter(None, options.peers.split(","))]:
            with tempfile.TemporaryDirectory(dir=".") as folder:
                command = gleaner + ["--name", f"d{round}"] if name == "gleaner" else [sys.executable, "-c", PYTHON, cluster, name]
                warm(folder, 2 * size)
                found.setdefault(name, []).append(measure(command, folder))
    median = {name: [statistics.median(run[i] for run in runs) for i in range(3)] for name, runs in found.items()}
    print(f"{'':12}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'MB / CPU s':>12}{'CPU':>8}{'wall':>8}")
    for name, (cpu, wall, peak) in median.items():
        print(f"{name:12}{cpu:8.2f}{wall:8.2f}{peak:9.0f}{size / 1e6 / cpu:12.0f}{cpu / median['gleaner'][0]:7.1f}x{wall / median['gleaner'][1]:7.1f}x")

if __name__ == "__main__":
    main()
