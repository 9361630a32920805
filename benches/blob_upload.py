#!/usr/bin/env python3
"""Uploads the same files with gleaner's sink and with the official Python client, side by side.

    benches/blob_upload.py [--mb 1000] [--files 4] [--rounds 3] [--storage http://127.0.0.1:PORT/devstoreaccount1]

Both send blocks of 8 MB, four at once, with a checksum for each block and a SHA-256 for each file: gleaner CRC-64 and MD5, the
Python client (azure-storage-blob) MD5, and nothing at all for comparison. They send into a null sink on the loopback, which reads and
forgets, or into an emulator (--storage). Then `gleaner export` publishes conversations of that size into the null sink, for its peak
memory. CPU and peak memory are those of the client's process alone. Build first: `cargo build --profile dist`, `cargo bench --no-run`.
Needs `pip install azure-storage-blob`; `./test.sh` has installed it for the Python in target/test-tools.
"""
import argparse, glob, json, multiprocessing, os, random, socket, statistics, subprocess, sys, tempfile, threading, time

BLOCK, UPLOADERS = 8_000_000, 4
SIGNATURE = "sv=2019-12-12&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00:00:00Z&sig=YKAtmJudHaH98kax9IHOYkiCF9veHhGg4TBHNwluLXo%3D"
PYTHON = """
import hashlib, os, sys
from azure.storage.blob import ContainerClient
url, dataset, block, uploaders, checks, *files = sys.argv[1:]
container = ContainerClient.from_container_url(url, credential=os.environ["AZURE_STORAGE_SAS_TOKEN"], max_block_size=int(block), max_single_put_size=1)
class Hashed:
    def __init__(self, path):
        self.file, self.digest, self.length = open(path, "rb"), hashlib.sha256(), os.path.getsize(path)
    def read(self, size=-1):
        piece = self.file.read(size)
        self.digest.update(piece)
        return piece
for path in files:
    checked = checks == "md5"
    file = Hashed(path) if checked else open(path, "rb")
    client = container.get_blob_client(f"{dataset}/{os.path.basename(path)}")
    client.upload_blob(file, length=os.path.getsize(path), max_concurrency=int(uploaders), validate_content=checked, overwrite=True)
    if checked:
        file.digest.hexdigest()
"""
ANSWER = "HTTP/1.1 {}\r\nETag: \"1\"\r\nLast-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nDate: Wed, 01 Jan 2025 00:00:00 GMT\r\nx-ms-version: 2021-12-02\r\nx-ms-request-server-encrypted: true\r\n"
EMPTY = b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="c"><Blobs /><NextMarker /></EnumerationResults>'

def swallow(client):
    """Requests of one connection: what is put is read and forgotten, nothing is ever there."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    room, head = memoryview(bytearray(1 << 20)), b""
    while True:
        while b"\r\n\r\n" not in head:
            piece = client.recv(1 << 16)
            if not piece:
                return
            head += piece
        first, _, rest = head.partition(b"\r\n\r\n")
        lines = first.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        if headers.get("expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(headers.get("content-length", 0)) - len(rest)
        while left > 0:
            left -= client.recv_into(room, min(left, len(room)))
        head = rest[left:] if left < 0 else b""
        method, target = lines[0].split(" ")[:2]
        if method == "PUT":
            reply = ANSWER.format("201 Created") + "Content-Length: 0\r\n\r\n"
        elif method == "DELETE":
            reply = ANSWER.format("202 Accepted") + "Content-Length: 0\r\n\r\n"
        elif "comp=list" in target and "blocklist" not in target:
            reply = ANSWER.format("200 OK") + f"Content-Type: application/xml\r\nContent-Length: {len(EMPTY)}\r\n\r\n" + EMPTY.decode()
        else:
            reply = ANSWER.format("404 Not Found") + "x-ms-error-code: BlobNotFound\r\nContent-Length: 0\r\n\r\n"
        client.sendall(reply.encode())

def null_sink(ready):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    ready.send(f"http://127.0.0.1:{listener.getsockname()[1]}/devstoreaccount1")
    while True:
        threading.Thread(target=swallow, args=(listener.accept()[0],), daemon=True).start()

def measure(command, folder):
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"AZURE_STORAGE_SAS_TOKEN": SIGNATURE})
    # Its output is small: it fits into the pipes.
    _, status, used = os.wait4(process.pid, 0)
    out, err = process.stdout.read(), process.stderr.read()
    if status != 0:
        sys.exit(f"{command[0]} failed: {err.decode()[-2000:]}{out.decode()[-500:]}")
    return used.ru_utime + used.ru_stime, time.monotonic() - begun, used.ru_maxrss / 1000

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--storage", help="an emulator's account; else the null sink")
    parser.add_argument("--only-export", action="store_true")
    parser.add_argument("--gleaner", default="target/dist/gleaner")
    parser.add_argument("--upload", default="target/release/deps/blob_upload-*[!d]", help="what `cargo bench --no-run` has built")
    options = parser.parse_args()
    # In a process of its own: what this one holds would count as the peak memory of its children.
    here, there = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=null_sink, args=(there,), daemon=True).start()
    storage = options.storage or here.recv()
    upload = max((path for path in glob.glob(options.upload) if os.access(path, os.X_OK)), key=os.path.getmtime)
    container = f"bench{random.SystemRandom().randrange(1 << 40)}"
    if options.storage:
        subprocess.run([sys.executable, "-c", "import sys; from azure.storage.blob import ContainerClient; ContainerClient.from_container_url(sys.argv[1], credential=sys.argv[2]).create_container()",
                        f"{storage}/{container}", SIGNATURE], check=True)
    if options.only_export:
        return export(os.path.abspath(options.gleaner), storage, options.mb)
    found = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        chance = random.Random(1)
        files = [os.path.join(os.path.abspath(folder), f"part-{number}.json") for number in range(options.files)]
        for path in files:
            with open(path, "wb") as file:
                for _ in range(options.mb // options.files):
                    file.write(chance.randbytes(1_000_000))
        size = sum(map(os.path.getsize, files)) / 1e6
        for round in range(options.rounds):
            for name in ["gleaner crc64", "gleaner md5", "python md5", "python nothing"]:
                who, checks = name.split(" ")
                common = [f"{who}-{checks}-{round}", str(BLOCK), str(UPLOADERS), checks, *files]
                command = [os.path.abspath(upload), storage, container] if who == "gleaner" else [sys.executable, "-c", PYTHON, f"{storage}/{container}"]
                found.setdefault(name, []).append(measure(command + common, folder))
    print(f"{size:.0f} MB in {options.files} files into {'an emulator' if options.storage else 'a null sink'}")
    print(f"{'':16}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'MB/s':>8}")
    median = {name: [statistics.median(run[i] for run in runs) for i in range(3)] for name, runs in found.items()}
    for name, (cpu, wall, peak) in median.items():
        print(f"{name:16}{cpu:8.2f}{wall:8.2f}{peak:9.0f}{size / wall:8.0f}")
    if not options.storage:
        export(os.path.abspath(options.gleaner), storage, options.mb)

def export(gleaner, storage, megabytes):
    conversations = megabytes * 1_000_000 // 8_700
    target = conversations // 10
    everything = ["--set", "selection.splits=[{name='train',percent=100}]", "--set", f"selection.targets={{train={{short={target},medium={target},long={target}}}}}"]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        subprocess.run([gleaner, "synth", "--schema", "conversations", "--conversations", str(conversations), "--out", "in"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        run = lambda out: measure([gleaner, "export", "--input", "in", "--out", out, "--name", "d", "--work-dir", out.replace("/", "-"), "--progress", "none", "--set", f"sink.azure_blob.endpoint={storage}",
                                   "--set", "sink.azure_blob.credential=sas", *everything], folder)
        for name, out in [("a folder", "out"), ("the null sink", "az://devstoreaccount1/bench")]:
            cpu, wall, peak = run(out)
            print(f"gleaner export of {3 * target} of {conversations} conversations to {name}: {cpu:.2f} CPU s, {wall:.2f} s, peak {peak:.0f} MB")

if __name__ == "__main__":
    main()
