#!/usr/bin/env bash
# Azurite keeps staged blocks when the blob is written whole, and deletes a blob that is not there.
#
# Versions: azurite 3.37.0 (npm)
# Guess:    Put Blob discards what was staged under the name: the service's documentation says that all
#           uncommitted blocks are discarded when a blob of that name is made in a single step. And a
#           DELETE agrees with HEAD on whether there is a blob.
# Seen:     after Put Blob the staged block is still listed, and committing it replaces the new content.
#           For a name with staged blocks alone HEAD answers 404, DELETE 202, and the blocks are gone.
# Output:   put 201, staged blocks 1, commit 201, content "staged"; HEAD 404, DELETE 202, blocks 404
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
echo '{"private": true}' >package.json
npm install --no-audit --no-fund --silent azurite@3.37.0 >/dev/null 2>&1
cat >look.py <<'PY'
import base64
import hashlib
import hmac
import sys
import urllib.error
import urllib.parse
import urllib.request

# An account made up for this script; AZURITE_ACCOUNTS below has it too.
account = "look"
key = base64.b64encode(b"made up").decode()
grant = {"sv": "2020-10-02", "ss": "b", "srt": "sco", "sp": "rwdlac", "st": "2020-01-01T00:00:00Z", "se": "2099-01-01T00:00:00Z"}
order = [account, *(grant[k] for k in ("sp", "ss", "srt", "st", "se")), "", "", grant["sv"], ""]
mac = hmac.new(base64.b64decode(key), "\n".join(order).encode(), hashlib.sha256)
signed = urllib.parse.urlencode({**grant, "sig": base64.b64encode(mac.digest()).decode()})
block = base64.b64encode(b"0001").decode()


def ask(method, path, query="", body=None, **headers):
    url = f"http://127.0.0.1:{sys.argv[1]}/{account}/{path}?{query}&{signed}"
    headers = {"x-ms-version": "2020-10-02", "Content-Type": "application/octet-stream", **headers}
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def stage(name):
    return ask("PUT", f"box/{name}", f"comp=block&blockid={urllib.parse.quote(block)}", b"staged")[0]


def staged(name):
    status, body = ask("GET", f"box/{name}", "comp=blocklist&blocklisttype=uncommitted")
    return status, body.count(b"<Block>")


assert ask("PUT", "box", "restype=container", b"")[0] == 201
assert stage("a") == 201
put = ask("PUT", "box/a", "", b"whole", **{"x-ms-blob-type": "BlockBlob"})[0]
left = staged("a")
commit = ask("PUT", "box/a", "comp=blocklist", f"<BlockList><Uncommitted>{block}</Uncommitted></BlockList>".encode())[0]
content = ask("GET", "box/a")[1]
print("put", put, "staged blocks", left, "commit", commit, "content", content)
assert (put, left, commit, content) == (201, (200, 1), 201, b"staged")

assert stage("b") == 201
head, delete, after = ask("HEAD", "box/b")[0], ask("DELETE", "box/b")[0], staged("b")[0]
print("HEAD", head, "DELETE", delete, "blocks", after, "never there", ask("DELETE", "box/never")[0])
assert (head, delete, after) == (404, 202, 404)
PY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
AZURITE_ACCOUNTS="look:$(printf 'made up' | base64)" \
    node node_modules/azurite/dist/src/blob/main.js --blobHost 127.0.0.1 --blobPort "$port" \
    --inMemoryPersistence --disableTelemetry --silent >azurite.log 2>&1 &
pid=$!
for _ in $(seq 300); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.1
done
python3 look.py "$port"
