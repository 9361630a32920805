#!/usr/bin/env bash
# The chat template of Gemma 4 declares a tool's parameter of two types as a text that is a list of Python.
#
# Versions: trl 1.16.0 (which ships the template), transformers 5.24.0, jinja2 3.1.6 (Python)
# Guess:    a parameter of the type ["number", "null"], as schemas of optional fields have it, is declared as NUMBER,
#           with nullable beside it where the template knows that word.
# Seen:     its type is the text ['NUMBER', 'NULL'], in all five revisions: the list is turned into a text of Python and
#           then to upper case. Other templates write the schema as JSON.
# Output:   n:{type:<|"|>['NUMBER', 'NULL']<|"|>}
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
folder = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates")
messages = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]


def declared(name, kind):
    function = {"name": "run", "description": "Runs.", "parameters": {"type": "object", "properties": {"n": {"type": kind}}}}
    tokenizer.chat_template = (folder / f"{name}.jinja").read_text()
    return tokenizer.apply_chat_template(messages, tools=[{"type": "function", "function": function}], tokenize=False)


def type_of_n(name, kind):
    text = re.search(r"n:\{type:<\|\"\|>(.*?)<\|\"\|>", declared(name, kind))[1]
    print(name, kind, "->", text)
    return text


for name in ("gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5"):
    assert type_of_n(name, "number") == "NUMBER"
    assert type_of_n(name, ["number", "null"]) == "['NUMBER', 'NULL']"
assert '{"type": ["number", "null"]}' in declared("qwen3", ["number", "null"])
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
