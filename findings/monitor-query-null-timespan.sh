#!/usr/bin/env bash
# Azure Monitor's Python client gives a null timespan as the text "None".
#
# Versions: azure-monitor-query 2.0.0, azure-core 1.41.0 (Python)
# Guess:    a null is None in every column, as it is for datetime, dynamic, long, real and bool.
# Seen:     in a column of type timespan it is a text of four letters, which is true in an `if` and passes
#           every test for absence. Of a datetime the seventh digit is cut: two rows that are one tick
#           apart become equal.
# Output:   timespan 'None' (str), the others None / .1234567 and .1234565 are one instant
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-monitor-query==2.0.0 azure-core==1.41.0
cat >look.py <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.monitor.query import LogsQueryClient

TYPES = ["timespan", "datetime", "dynamic", "long", "real", "bool"]
ANSWER = {"tables": [{
    "name": "PrimaryResult",
    "columns": [{"name": kind, "type": kind} for kind in TYPES],
    "rows": [
        [None] * 6,
        ["1.02:03:04.5000000", "2026-01-02T03:04:05.1234567Z", "{}", 1, 1.5, True],
        ["00:00:01", "2026-01-02T03:04:05.1234565Z", "{}", 1, 1.5, True],
    ],
}]}


class Service(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Credential:
    def get_token(self, *_, **__):
        return AccessToken("token", 9999999999)


server = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = LogsQueryClient(
    Credential(),
    endpoint=f"http://127.0.0.1:{server.server_port}/v1",
    authentication_policy=SansIOHTTPPolicy(),
)
nulls, first, second = client.query_workspace("workspace", "T", timespan=None).tables[0].rows
cells = [nulls[column] for column in range(6)]
print(cells, first[1], second[1])
assert cells == ["None", None, None, None, None, None]
assert first[0] == "1.02:03:04.5000000"
assert first[1] == second[1] and first[1].microsecond == 123456
PY
v/bin/python -W ignore look.py
