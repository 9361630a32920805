#!/usr/bin/env bash
# One of TRL's chat templates has CRLF, which Jinja reads as line feeds; two other engines keep the carriage returns.
#
# Versions: trl 1.16.0, jinja2 3.1.6, minijinja 3.1.0 (Python), @huggingface/jinja 0.5.11 (npm, Node 20)
# Guess:    an engine that renders chat templates ends lines as Jinja does: a template's file may have either.
# Seen:     glm4moe_training.jinja has 109 lines that end in CRLF. Jinja makes line feeds of them; minijinja, which
#           inference servers in Rust render with, and @huggingface/jinja write the CR into the prompt, so a model is
#           served other tokens than it was trained on. Plain text of a template suffices to see it.
# Output:   'a\nb' (jinja2), 'a\r\nb' (minijinja), "a\r\nb" (@huggingface/jinja)
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check jinja2==3.1.6 minijinja==3.1.0
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11
cat >look.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const { source, context } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(new Template(source).render(context)));
JS
cat >look.py <<'PY'
import json
import pathlib
import re
import subprocess
import sysconfig

import jinja2
import minijinja


def rendered(source, context):
    # What transformers gives to jinja2.
    jinja = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    mini = minijinja.Environment(trim_blocks=True, lstrip_blocks=True)
    jinja.filters["tojson"] = json.dumps
    mini.add_filter("tojson", json.dumps)
    given = json.dumps({"source": source, "context": context})
    other = subprocess.run(["node", "look.mjs"], input=given, capture_output=True, text=True, check=True)
    return jinja.from_string(source).render(**context), mini.render_str(source, **context), json.loads(other.stdout)


texts = rendered("a\r\nb", {})
print(*map(repr, texts))
assert texts == ("a\nb", "a\r\nb", "a\r\nb")

folder = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates")
with_cr = [file.stem for file in sorted(folder.glob("*.jinja")) if b"\r" in file.read_bytes()]
assert with_cr == ["glm4moe_training"], with_cr
source = (folder / "glm4moe_training.jinja").read_bytes().decode()
assert source.count("\r\n") == 109
# A block of transformers, which the two others do not know.
source = re.sub(r"\{%(-?) *(end)?generation *(-?)%\}", "", source)
messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
tools = [{"type": "function", "function": {"name": "run", "parameters": {}}}]
texts = rendered(source, {"messages": messages, "tools": tools, "add_generation_prompt": False})
print(*(text.count("\r") for text in texts), "carriage returns")
assert "\r" not in texts[0] and "\r" in texts[1] and "\r" in texts[2]
assert texts[0] == texts[1].replace("\r", "")
PY
v/bin/python look.py
