#!/usr/bin/env bash
# Templates of Qwen 3.5, Nemotron 3 and LFM 2 write True and None where a call's arguments have true and null.
#
# Versions: trl 1.16.0, transformers 5.24.0, jinja2 3.1.6 (Python)
# Guess:    a value in the arguments of a call that is no text is written as JSON; as Python where calls are Python (LFM).
# Seen:     15 of TRL's 72 templates write a boolean or null that is an argument itself as Python does, and one within a
#           list or an object as JSON: one call has both spellings, and LFM's is neither Python nor JSON. Qwen 3.6 and 3.8,
#           whose format is that of Qwen 3.5, write JSON everywhere.
# Output:   qwen3_5_think: dry=True since=None only=[true, null]; qwen3_6: dry=true since=null only=[true, null]
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
import re
import sysconfig

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
arguments = {"dry": True, "since": None, "only": [True, None]}
call = {"id": "1", "type": "function", "function": {"name": "ls", "arguments": arguments}}
messages = [
    {"role": "user", "content": "List."},
    {"role": "assistant", "content": "", "tool_calls": [call]},
    {"role": "tool", "tool_call_id": "1", "name": "ls", "content": "a.rs"},
    {"role": "assistant", "content": "One file."},
]
python, json = [], []
for file in sorted(pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates").glob("*.jinja")):
    tokenizer.chat_template = file.read_text()
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception:
        continue
    # A value stands alone on its line, between marks, or behind the colon or the sign of its name.
    values = dict(re.findall(r"(dry|since|only)\W+?(?:/arg_key>\s*<arg_value>)?(true|True|null|None|\[[^\]]*\])", text))
    if values.get("only") == "[true, null]":
        {("True", "None"): python, ("true", "null"): json}[values["dry"], values["since"]].append(file.stem)
        if file.stem in ("qwen3_5_think", "qwen3_6", "lfm2_v2"):
            print(file.stem, *(f"{name}={value}" for name, value in values.items()))
print(len(python), "as Python:", *python)
print(len(json), "as JSON:", *json)
families = {name.split("_")[0] + name.split("_")[1] for name in python}
assert len(python) == 15 and families == {"qwen35", "nemotron3", "lfm22", "lfm2v2"}, families
assert len(json) == 21 and {"qwen3", "qwen3_6", "qwen3_8", "glm4moe", "muse_glimmer"} <= set(json)
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
