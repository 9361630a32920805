#!/usr/bin/env bash
# renderers trains gpt-oss on results of the tool "unknown", unless a message of a tool has its name.
#
# Versions: renderers 0.1.12, transformers 5.24.0, js-tiktoken 1.0.21 (npm, for the vocabulary that it would fetch)
# Guess:    the name of a result's tool is that of the call with its `tool_call_id`, as in the model's own template: a
#           message of a tool has no name in the chat completions API. The text beside a call is commentary.
# Seen:     the result is of functions.unknown, though the call before it has the same id; with `name` in the message it
#           is right. The text beside a call stands in the channel final, which ends an answer, and the calls follow it.
# Output:   <|channel|>final<|message|>I look.<|end|> ... <|start|>functions.unknown to=assistant
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
# renderers imports httpx, which openai no longer brings.
v/bin/pip install -q --disable-pip-version-check renderers==0.1.12 transformers==5.24.0 httpx==0.28.1
npm install --silent --no-audit --no-fund js-tiktoken@1.0.21
cat >look.py <<'PY'
import json
import os
import pathlib

source = pathlib.Path("node_modules/js-tiktoken/dist/ranks/o200k_base.js").read_text()
lines = json.loads(source[source.index("{"):source.rindex("}") + 1])["bpe_ranks"].splitlines()
ranks = []
for line in filter(None, lines):
    _, first, *tokens = line.split(" ")
    ranks += ((int(first) + n, token) for n, token in enumerate(tokens))
pathlib.Path("o200k_base.tiktoken").write_text("".join(f"{token} {rank}\n" for rank, token in sorted(ranks)))
os.environ["TIKTOKEN_ENCODINGS_BASE"] = os.getcwd()

from openai_harmony import HarmonyEncodingName, load_harmony_encoding
from renderers import create_renderer
from renderers.configs import GptOssRendererConfig
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

# It cuts texts with the vocabulary of Harmony; of the tokenizer it wants the marks only.
backend = Tokenizer(models.BPE())
backend.add_special_tokens([f"<|{mark}|>" for mark in ("start", "end", "message", "channel", "constrain", "return", "call")])
renderer = create_renderer(PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|return|>"), GptOssRendererConfig())
encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)


def rendered(**of_result):
    call = {"id": "1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    messages = [{"role": "user", "content": "List."},
                {"role": "assistant", "content": "I look.", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": "a.rs", **of_result},
                {"role": "assistant", "content": "One file."}]
    text = encoding.decode_utf8(renderer.render_ids(messages))
    print(text[text.index("<|start|>user"):])
    return text


text = rendered()
assert "<|start|>functions.unknown to=assistant" in text and "functions.ls to=assistant" not in text
assert "<|channel|>final<|message|>I look.<|end|><|start|>assistant to=functions.ls" in text
assert "<|start|>functions.ls to=assistant" in rendered(name="ls")
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
