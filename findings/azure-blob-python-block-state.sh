#!/usr/bin/env bash
# azure-storage-blob for Python commits every block as "latest", whatever state it was given.
#
# Versions: azure-storage-blob 12.31.1 (Python)
# Guess:    BlobBlock(id, state=BlockState.Committed) is sent as <Committed>: keep the block that the blob
#           has, also if another one was staged under the same id.
# Seen:     the body has <Latest> for it, and for BlockState.Uncommitted too (the enumeration's values are
#           capitalised, and compared with words in lower case). The service then takes what was staged.
# Output:   <BlockList><Latest>...</Latest><Latest>...</Latest></BlockList>
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-storage-blob==12.31.1
cat >look.py <<'PY'
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from azure.storage.blob import BlobBlock, BlobClient, BlockState

bodies = []


class Answer(BaseHTTPRequestHandler):
    def do_PUT(self):
        bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
blob = BlobClient(f"http://127.0.0.1:{server.server_port}/account", "container", "blob")
states = [BlockState.Committed, BlockState.Uncommitted, BlockState.Latest]
blob.commit_block_list([BlobBlock(f"000{n}", state=state) for n, state in enumerate(states)])
print(bodies[0])
assert re.findall(r"<(\w+)>MDAw", bodies[0]) == ["Latest", "Latest", "Latest"]
server.shutdown()
PY
v/bin/python look.py
