#!/usr/bin/env bash
# The chat template of Gemma 4 puts the text beside a call behind the results of the call.
#
# Versions: trl 1.16.0 (which ships five revisions of the template), transformers 5.24.0, jinja2 3.1.6 (Python)
# Guess:    an assistant message with a text and a call is trained as it was said: the text, then the call.
# Seen:     in four revisions first the call, then the result, then the text ("I look."), which the model said before it
#           knew the result. In three of them the turn ends there, and the answer stands behind it without a beginning of
#           its own; in the newest one it follows without so much as a space. In gemma4_v2: the call, the text, the result.
# Output:   <|tool_call>...<tool_call|><|tool_response>...<tool_response|>I look.One file.<turn|>
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check transformers==5.24.0 jinja2==3.1.6
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
cat >look.py <<'PY'
import pathlib
import sysconfig

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
call = {"id": "1", "type": "function", "function": {"name": "ls", "arguments": {"folder": "src"}}}
messages = [
    {"role": "user", "content": "List."},
    {"role": "assistant", "content": "I look.", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "1", "name": "ls", "content": "a.rs"},
    {"role": "assistant", "content": "One file."},
]
folder = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates")


def rendered(name):
    tokenizer.chat_template = (folder / f"{name}.jinja").read_text()
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    print(name, repr(text[text.index("<|turn>model"):]))
    return text


def order(text, call):
    parts = {"text": "I look.", "call": call, "result": "a.rs", "answer": "One file."}
    return sorted(parts, key=lambda part: text.index(parts[part]))


for name in ("gemma4", "gemma4_v3", "gemma4_v4", "gemma4_v5"):
    text = rendered(name)
    assert order(text, "<|tool_call>call:ls") == ["call", "result", "text", "answer"], name
    between = "" if name == "gemma4_v5" else "<turn|>\n"
    assert f"I look.{between}One file.<turn|>" in text, name
assert order(rendered("gemma4_v2"), "<|tool_call>call:ls") == ["call", "text", "result", "answer"]
tokenizer.chat_template = (folder / "qwen3_6.jinja").read_text()
text = tokenizer.apply_chat_template(messages, tokenize=False)
assert order(text, "<tool_call>") == ["text", "call", "result", "answer"]
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
