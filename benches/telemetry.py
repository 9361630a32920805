#!/usr/bin/env python3
"""Times gleaner against a careful Python script (orjson, two passes: index the rows of used events, then read
those of each complete conversation and assemble it) on the same rows of Copilot Chat telemetry, in turn.

  cargo build --profile dist && python3 benches/telemetry.py FOLDER [--copies 3] [--rounds 3]

FOLDER has rows of AppEvents, one a line (`*.jsonl`, or `*.jsonl.zst` with the tool zstd). They are copied so
many times, each copy with ids of its own. Needs `pip install orjson xxhash`. gleaner also syncs, digests,
checks every row in full and says what is not certain; the script does not."""
import argparse, collections, glob, json, os, re, shutil, statistics, subprocess, sys, tempfile
from side_by_side import GLEANER, run

USED = ("conversation.messageText", "interactiveSessionMessage", "interactiveSessionResponse", "toolCallDetailsInternal",
        "engine.messages.length", "engine.messages", "model.request.options.added", "model.message.added",
        "model.modelCall.input", "model.modelCall.output")
SHARED = {"model.message.added": "messageUuid", "model.request.options.added": "requestOptionsId"}
BUCKETS = (("short", 3, 5), ("medium", 6, 10), ("long", 11, 20))

def two_pass(source, out):
    import base64, gzip, orjson, xxhash
    used = {name.encode() for name in USED}

    def loads(text):
        try: return orjson.loads(text)
        except orjson.JSONDecodeError: return json.loads(text)

    def paired(text):  # halves of pairs that a cut left
        try: text.encode(); return text
        except UnicodeEncodeError: return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def units(text):
        return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2

    def number(value):
        try: return int(value)
        except (TypeError, ValueError): return None

    def value(p, key):  # (text, whether it is whole, whether parts of it are short)
        chunk = key + "Chunk" if key + "Chunk" in p else "messagesJSONChunk" if key == "messagesJson" and "messagesJSONChunk" in p else None
        if chunk:
            parts = [p[chunk]]; n = 2
            while f"{chunk}_{n}" in p: parts.append(p[f"{chunk}_{n}"]); n += 1
            return gzip.decompress(base64.b64decode("".join(parts))).decode(), True
        text = p.get(key)
        if text is None: return None, False
        if f"{key}_02" not in p: return text, len(text) < 4096 or units(text) < 8192
        parts = [text]; n = 2
        while f"{key}_{n:02}" in p: parts.append(p[f"{key}_{n:02}"]); n += 1
        return paired("".join(parts)), False

    # Pass 1: headers.
    files = sorted(glob.glob(source + "/*.jsonl"))
    conversations = collections.defaultdict(list); shared = collections.defaultdict(list)
    for file, path in enumerate(files):
        at = 0
        with open(path, "rb") as rows:
            for line in rows:
                start = at; at += len(line)
                name = line.rfind(b'"Name":"'); end = line.find(b'"', name + 8)
                if name >= 0 and line[line.rfind(b"/", name, end) + 1:end] not in used: continue
                try: row = loads(line)
                except ValueError: continue
                p = row["Properties"]; m = row["Measurements"]; event = row["Name"].rpartition("/")[2]
                place = (file, start, len(line))
                if event in SHARED:
                    shared[p.get(SHARED[event])].append((xxhash.xxh3_64_intdigest(line), place)); continue
                i = p.get("conversationId") or p.get("sessionId")
                if not i or i in ("unknown", "undefined"): continue
                source_of = p.get("source"); position = None
                if event == "conversation.messageText":
                    position = number(p.get("turnIndex"))
                    if source_of == "user" and position is not None: position += 1
                elif event == "toolCallDetailsInternal": position = number(m.get("turnIndex"))
                elif event.startswith("interactive"): position = number(m.get("turnNumber"))
                request = p.get("messageId") or p.get("requestId")
                if not request:
                    request = p.get("headerRequestId")
                    if request == "unknown": request = None
                call = p.get("modelCallId") if event.startswith(("engine", "model")) else None
                conversations[i].append((xxhash.xxh3_64_intdigest(line), row["TimeGenerated"], request, position, p.get("mode"), call, place))

    def members(rows):
        rows = list({row[0]: row for row in rows}.values())
        of_call = {call: request for _, _, request, _, _, call, _ in rows if call and request}
        requests = {}; kept = []
        for row in rows:
            request = row[2] or of_call.get(row[5]); kept.append((request, row))
            if request is None: continue
            r = requests.setdefault(request, [row[1], set(), set()])
            r[0] = min(r[0], row[1])
            if row[3] is not None: r[1].add(row[3])
            if row[4]: r[2].add(row[4])
        if any(len(r[1]) > 1 for r in requests.values()): return None
        placed = sorted((r[0], request, min(r[1]), r[2]) for request, r in requests.items() if r[1])
        turns = []; least = 1 << 30
        for turn in reversed(placed):
            if turn[2] < least: least = turn[2]; turns.append(turn)
        turns.reverse()
        if [turn[2] for turn in turns] != list(range(1, len(turns) + 1)) or any(turn[3] != {"agent"} for turn in turns): return None
        places = {turn[1]: n for n, turn in enumerate(turns)}
        return len(turns), [(places.get(request), row[6]) for request, row in kept if request is None or request in places]

    # Pass 2: the rows of complete conversations.
    handles = [os.open(path, os.O_RDONLY) for path in files]
    read = lambda place: loads(os.pread(handles[place[0]], place[2], place[1]))

    def body(uuid, event, key):
        pieces = {}; total = 1
        for digest, place in {d: p for d, p in shared.get(uuid, ())}.items():
            row = read(place); p = row["Properties"]
            if row["Name"].endswith(event): pieces[number(p.get("chunkIndex")) or 0] = p.get(key, ""); total = max(total, number(p.get("totalChunks")) or 1)
        if sorted(pieces) != list(range(total)): return None
        try: return loads(paired("".join(pieces[n] for n in range(total))))
        except ValueError: return None

    def content(message):
        text = message.get("content")
        if isinstance(text, list): return "".join(part.get("text", "") for part in text)
        return text or ""

    def assemble(i, count, rows):
        turns = [dict(users=[], models=[], details=None, messageId=None, length=None, base=None) for _ in range(count)]
        calls = {}; bodies = {}; name = None
        for turn, place in sorted(rows, key=lambda row: row[1]):
            row = read(place); p = row["Properties"]; m = row["Measurements"]; event = row["Name"].rpartition("/")[2]; at = row["TimeGenerated"]
            if turn == 0 and not name and p.get("common.userName") not in (None, "", "undefined"): name = p["common.userName"]
            call = p.get("modelCallId")
            if call and event.startswith(("engine", "model")):
                c = calls.setdefault(call, dict(id=call, turn=None, at=at, round=None, model=None, tokens=None, input=None, output=None, lengths=None, options=None, tools=None))
                if turn is not None: c["turn"] = turn
                c["at"] = min(c["at"], at)
                output = event == "model.modelCall.output" or p.get("message_direction") == "output" or "promptTokens" in m
                if output:
                    if "promptTokens" in m: c["tokens"] = (m["promptTokens"], m.get("completionTokens"))
                    c["model"] = p.get("baseModel") or c["model"]
                elif "requestTurn" in p: c["round"] = number(p["requestTurn"])
                if event.startswith("model"):
                    ids = loads(p["messageUuids"]) if p.get("totalChunks", "1") == "1" else None
                    c["options"] = p.get("requestOptionsId") or c["options"]
                    c.setdefault("out_ids" if output else "in_pieces", []).append((number(p.get("chunkIndex")) or 0, p["messageUuids"], ids))
                elif event == "engine.messages":
                    try: messages = loads(value(p, "messagesJson")[0] or "[]")
                    except ValueError: messages = None
                    c["output" if output else "input"] = messages
                    if not output: c["tools"] = value(p, "request.option.tools")[0]
                elif output:
                    try: c["lengths"] = loads(value(p, "messagesJson")[0] or "[]")
                    except ValueError: pass
                continue
            if turn is None: continue
            t = turns[turn]
            t["messageId"] = t["messageId"] or p.get("messageId") or p.get("requestId")
            if event == "conversation.messageText":
                text, whole = value(p, "messageText"); t["length"] = number(m.get("messageCharLen"))
                if p["source"] == "user": t["users"].append((text or "", whole))
                elif p["source"] == "model": t["models"].append((at, text or "", whole))
            elif event == "interactiveSessionMessage": t["users"].append(value(p, "query"))
            elif event == "interactiveSessionResponse": t["users"].append(value(p, "request")); t["base"] = p.get("baseModel")
            elif event == "toolCallDetailsInternal": t["details"] = p.get("toolCounts")
        def message(uuid):
            if uuid not in bodies: bodies[uuid] = body(uuid, "model.message.added", "messageJson")
            return bodies[uuid]
        for c in calls.values():
            for key, to in (("in_pieces", "input"), ("out_ids", "output")):
                pieces = sorted(c.pop(key, ()))
                if pieces:
                    ids = pieces[0][2] if pieces[0][2] is not None else loads("".join(piece for _, piece, _ in pieces))
                    c[to] = [message(uuid) for uuid in ids]
        by_turn = [sorted((c for c in calls.values() if c["turn"] == n), key=lambda c: (c["round"] or 0, c["at"], c["id"])) for n in range(count)]
        record_turns = []
        for n, t in enumerate(turns):
            own = by_turn[n]; quality = set(); prompts = []; steps = {}; texts = {}
            def follow(call, back, own):
                users = [k for k, x in enumerate(call["input"]) if x and x.get("role") == "user"]
                if len(users) <= back: return
                at = users[-1 - back]; end = users[-back] if back else len(call["input"])
                prompts.append(content(call["input"][at])); round = -1
                for x in call["input"][at + 1:end]:
                    if not x: continue
                    if x.get("role") == "assistant":
                        round += 1; texts.setdefault(round, content(x))
                        for tool in x.get("tool_calls") or ():
                            steps.setdefault(tool["id"], dict(round=round, id=tool["id"], tool=tool["function"]["name"], arguments=tool["function"]["arguments"], result=None))
                    elif x.get("role") == "tool" and x.get("tool_call_id") in steps: steps[x["tool_call_id"]]["result"] = content(x)
            for c in own:
                if c["input"]: follow(c, 0, own)
            for back, later in enumerate(by_turn[n + 1:], 1):
                c = next((c for c in later if c["input"]), None)
                if c: follow(c, back, own)
            users = [text for text, whole in t["users"] if text is not None]
            user = next((text for text in users if units(text) == t["length"]), None)
            if user is None:
                for prompt in prompts:
                    inner = prompt.rpartition("<userRequest>\n")[2].rpartition("\n</userRequest>")[0]
                    if units(inner) == t["length"]: user = inner; break
            if user is None: user = max(users + [""], key=len); quality.add("user_text_trimmed" if len(user) < 8192 else "user_text_cut")
            t["models"].sort(); last = t["models"][-1] if t["models"] else None; model = last[1] if last else None; sure = False
            answered = [c for c in own if c["output"] or c["lengths"]]
            if answered:
                c = answered[-1]; out = c["output"][0] if c["output"] else None
                length = c["lengths"][0].get("content") if c["lengths"] else None
                if out and (length is None or units(content(out)) == length): model = content(out); sure = True
                elif length is not None and model is not None and units(model.rstrip()) == length: sure = True
            if not sure: quality.add("model_text_cut" if model and len(model) >= 8192 else "model_text_unconfirmed")
            tokens = [c["tokens"] for c in own if c["tokens"]]
            if len(tokens) < len(own) or not own: quality.add("tokens_missing")
            counts = loads(t["details"]) if t["details"] else None
            if counts is not None and counts != dict(collections.Counter(step["tool"] for step in steps.values())): quality.add("tool_calls_unknown")
            turn = dict(turnIndex=n + 1, userMessage=user, modelMessage=model, promptTokens=sum(x[0] for x in tokens) if tokens else None,
                        completionTokens=sum(x[1] or 0 for x in tokens) if tokens else None, llmCallCount=len(own) or None)
            if steps: turn["trajectory"] = sorted(steps.values(), key=lambda step: step["round"])
            turn.update(messageId=t["messageId"], model=(own[-1]["model"] if own else None) or t["base"],
                        llmCalls=[dict(modelCallId=c["id"], model=c["model"], promptTokens=c["tokens"] and c["tokens"][0], completionTokens=c["tokens"] and c["tokens"][1], text=texts.get(k)) for k, c in enumerate(own)])
            if quality: turn["quality"] = sorted(quality)
            record_turns.append(turn)
        first = next((c for own in by_turn for c in own), None); tools = None
        if first:
            if first["options"] and not first["tools"]:
                options = body(first["options"], "model.request.options.added", "requestOptionsJson")
                first["tools"] = options and options.get("request.option.tools")
            tools = first["tools"] and loads(first["tools"])
        total = lambda key: sum(turn[key] or 0 for turn in record_turns)
        bucket = next((b for b, lo, hi in BUCKETS if lo <= count <= hi), None)
        record = dict(conversationId=i, userName=name, turnCount=count, bucket=bucket, turnsArray=record_turns, promptTokens=total("promptTokens"),
                      completionTokens=total("completionTokens"), llmCallCount=total("llmCallCount"))
        if tools: record["tools"] = tools
        try: return orjson.dumps(record)
        except TypeError: return json.dumps(record).encode()

    outputs = {}; written = 0
    for i in sorted(conversations):
        found = members(conversations[i])
        if not found: continue
        bucket = next((b for b, lo, hi in BUCKETS if lo <= found[0] <= hi), None)
        if not bucket: continue
        h = xxhash.xxh64_intdigest(i.encode()); r = (h - (1 << 64) if h >> 63 else h) % 100
        split = "train" if r < 83 else "val" if r < 92 else "test"
        record = assemble(i, *found)
        if (split, bucket) not in outputs: os.makedirs(f"{out}/{split}", exist_ok=True); outputs[split, bucket] = open(f"{out}/{split}/{bucket}.jsonl", "wb")
        outputs[split, bucket].write(record + b"\n"); written += 1
    print(f"{written} records", file=sys.stderr)

def copies(folder, count, to):
    """Writes the rows so many times, each time with other ids, and counts those of used events."""
    os.makedirs(to); uuid = re.compile(rb"\b([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{10})[0-9a-f]{2}\b")
    names = re.compile(rb'"(?:Name|name)":"[^"/]*/(?:' + b"|".join(re.escape(name.encode()) for name in USED) + rb')"'); rows = used = size = 0
    for copy in range(count):
        for path in sorted(glob.glob(folder + "/appevents-*.jsonl*") or glob.glob(folder + "/*.jsonl*")):
            data = subprocess.run(["zstd", "-dc", "--long=27", path], stdout=subprocess.PIPE, check=True).stdout if path.endswith(".zst") else open(path, "rb").read()
            data = uuid.sub(lambda found: found[1] + b"%02x" % copy, data) if copy else data
            rows += data.count(b"\n"); used += len(names.findall(data)); size += len(data)
            with open(f"{to}/{copy}-{os.path.basename(path).split('.')[0]}.jsonl", "wb") as file: file.write(data)
    return rows, used, size

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?"); parser.add_argument("--copies", type=int, default=3); parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gleaner", default=GLEANER); parser.add_argument("--two-pass", nargs=2); parser.add_argument("--copy-to")
    args = parser.parse_args()
    if args.two_pass: return two_pass(*args.two_pass)
    if args.copy_to: return print(json.dumps(copies(args.folder, args.copies, args.copy_to)))
    if not args.folder: parser.error("name the folder of the rows")
    folder = tempfile.mkdtemp(prefix="gleaner-bench-"); source = f"{folder}/in"; out = f"{folder}/out"
    try:
        # In a process of its own: the peak of a child counts what its parent held when it was forked.
        copy = [sys.executable, __file__, args.folder, "--copies", str(args.copies), "--copy-to", source]
        rows, used, size = json.loads(subprocess.run(copy, stdout=subprocess.PIPE, check=True).stdout)
        print(f"{rows} rows, {used} of used events, {size / 1e6:.0f} MB")
        jobs = {"two-pass Python": [sys.executable, __file__, "--two-pass", source, out],
                "gleaner": [args.gleaner, "export", "--input", source, "--out", out, "--work-dir", f"{folder}/work", "--fresh", "--targets", "all", "--seed", "s", "--progress", "none", "--format", "jsonl"]}
        results = {name: [] for name in jobs}
        for _ in range(args.rounds):
            for name, command in jobs.items():
                shutil.rmtree(out, ignore_errors=True); shutil.rmtree(f"{folder}/work", ignore_errors=True); os.makedirs(out); os.sync(); results[name].append(run(command))
    finally: shutil.rmtree(folder)
    median = {name: [statistics.median(r[i] for r in rows) for i in range(3)] for name, rows in results.items()}
    print(f"{'':18}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'rows/core s':>13}")
    for name, (wall, cpu, mb) in median.items(): print(f"{name:18}{wall:9.2f}{cpu:9.2f}{mb:9.0f}{rows / cpu:13.0f}")
    a, b = median["gleaner"], median["two-pass Python"]
    print(f"gleaner / Python: wall 1/{b[0] / a[0]:.1f}, CPU 1/{b[1] / a[1]:.1f}; memory allowed: 64 MB + 96 bytes a used row = {64 + 96 * used / 1e6:.0f} MB and the largest conversation")

if __name__ == "__main__": main()
