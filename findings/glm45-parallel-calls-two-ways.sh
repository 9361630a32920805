#!/usr/bin/env bash
# Two renderings of GLM 4.5 disagree on what stands between two calls of one message.
#
# Versions: trl 1.16.0, renderers 0.1.12, transformers 5.24.0 (Python 3.11)
# Guess:    TRL's template and the renderer of that model, which both say that they follow the model's own template,
#           give the same text for a conversation with two calls at once, as they do for Qwen 3, Qwen 3.5 and Nemotron 3.
# Seen:     TRL has a line feed between the two calls, renderers none; all else is equal. Who trains with one and
#           samples or trains further with the other has other tokens from there on.
# Output:   '</tool_call>\n<tool_call>' and '</tool_call><tool_call>'
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
# renderers imports httpx, which openai no longer brings.
v/bin/pip install -q --disable-pip-version-check renderers==0.1.12 transformers==5.24.0 httpx==0.28.1
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
cat >look.py <<'PY'
import pathlib
import re
import sysconfig

from renderers import create_renderer
from renderers.configs import GLM45RendererConfig, Nemotron3RendererConfig, Qwen3RendererConfig, Qwen35RendererConfig
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

packages = pathlib.Path(sysconfig.get_path("purelib"))
special = {"<|im_end|>": None}
for name in ("glm45", "qwen3", "qwen35", "nemotron3", "parsing", "base"):
    source = (packages / "renderers" / f"{name}.py").read_text()
    special.update(dict.fromkeys(re.findall(r'"(</?\|?[a-z_]+\|?>|\[gMASK\])"', source)))
# A tokenizer of bytes, and of the marks that the renderers name.
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
backend = Tokenizer(models.BPE(vocab={letter: n for n, letter in enumerate(letters)}, merges=[]))
backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
backend.decoder = decoders.ByteLevel()
backend.add_tokens([AddedToken(mark, special=True, normalized=False) for mark in special])
tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>")

function = {"name": "run", "description": "Runs.", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}
tools = [{"type": "function", "function": function}]
calls = [{"id": n, "type": "function", "function": {"name": "run", "arguments": {"command": n}}} for n in ("one", "two")]
messages = [
    {"role": "user", "content": "Run."},
    {"role": "assistant", "content": "I run.", "tool_calls": calls},
    *({"role": "tool", "tool_call_id": n, "content": f"out {n}"} for n in ("one", "two")),
    {"role": "assistant", "content": "Done."},
]


def both(config, template):
    rendered = tokenizer.decode(create_renderer(tokenizer, config()).render_ids(messages, tools=tools))
    tokenizer.chat_template = (packages / "trl" / "chat_templates" / f"{template}.jinja").read_text()
    return tokenizer.apply_chat_template(messages, tools=tools, tokenize=False), rendered


for config, template in ((Qwen3RendererConfig, "qwen3"), (Qwen35RendererConfig, "qwen3_5_think"),
                         (Nemotron3RendererConfig, "nemotron_3_nano")):
    one, other = both(config, template)
    print(template, one == other)
    assert one == other
one, other = both(GLM45RendererConfig, "glm4moe")
print(repr(one), repr(other), sep="\n")
between = "</tool_call>\n<tool_call>"
assert between in one and between not in other
assert one.replace(between, "</tool_call><tool_call>") == other
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
