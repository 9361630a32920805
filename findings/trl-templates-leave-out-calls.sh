#!/usr/bin/env bash
# Of the 72 chat templates that TRL ships, 22 leave out a call or the text beside it, without an error.
#
# Versions: trl 1.16.0, transformers 5.24.0, jinja2 3.1.6 (Python)
# Guess:    a template writes the text, the calls and the results of messages as TRL documents them, or raises, as that
#           of Llama 3.1 does for two calls in one message.
# Seen:     12 have no calls at all (8 of them have the results, so the model learns to answer from results that it
#           never asked for). gptoss has the first of several calls in a message, and all results. gptoss, llama3_1,
#           llama3_2 and muse_glimmer leave out the text beside a call. Those of two vision models (4) have nothing of
#           messages whose content is a text. Those with _training in their names do the same.
# Output:   of one call: ('text',), of two: ('text', 'second call'): gptoss, gptoss_training
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check transformers==5.24.0 jinja2==3.1.6
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
cat >look.py <<'PY'
import collections
import pathlib
import sysconfig

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
PARTS = {"text": "I look.", "first call": "qone", "first result": "rone", "second call": "qtwo",
         "second result": "rtwo", "answer": "Both."}


def conversation(calls):
    asked, results = [], []
    for n in ("one", "two")[:calls]:
        asked.append({"id": n, "type": "function", "function": {"name": "list_" + n, "arguments": {"folder": "q" + n}}})
        results.append({"role": "tool", "tool_call_id": n, "name": "list_" + n, "content": "r" + n})
    return [{"role": "user", "content": "List."}, {"role": "assistant", "content": "I look.", "tool_calls": asked},
            *results, {"role": "assistant", "content": "Both."}]


def lost(template, calls):
    tokenizer.chat_template = template
    try:
        text = tokenizer.apply_chat_template(conversation(calls), tokenize=False)
    except Exception:
        return None
    return tuple(name for name, part in PARTS.items()
                 if part not in text and (calls == 2 or not name.startswith("second")))


seen = collections.defaultdict(list)
folder = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates")
for file in sorted(folder.glob("*.jinja")):
    seen[lost(file.read_text(), 1), lost(file.read_text(), 2)].append(file.stem)
for (one, two), names in seen.items():
    print(f"{len(names):2}  of one call: {one}, of two: {two}: {', '.join(names)}")

assert sum(map(len, seen.values())) == 72
without_calls = seen[("first call",), ("first call", "second call")]
assert len(without_calls) == 8 and {"llama3", "lfm2", "deepseek_r1_distill", "qwen2_5_vl_training"} <= set(without_calls)
assert len(seen[("first call", "first result"), ("first call", "first result", "second call", "second result")]) == 4
assert seen[("text",), ("text", "second call")] == ["gptoss", "gptoss_training"]
assert seen[("text",), None] == ["llama3_1", "llama3_2"]
assert len(seen[(), ()]) == 39 and len(seen[None, None]) == 11
assert seen[("text",), ("text",)] == ["muse_glimmer", "muse_glimmer_training"]
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
