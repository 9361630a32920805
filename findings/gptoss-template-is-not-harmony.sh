#!/usr/bin/env bash
# The chat template of gpt-oss and OpenAI's own renderer give different prompts for one conversation with a tool.
#
# Versions: openai-harmony 0.0.8, trl 1.16.0 (which ships the template), transformers 5.24.0, js-tiktoken 1.0.21 (npm,
#           for the vocabulary that openai-harmony would fetch)
# Guess:    the same text, up to the marks that a caller may choose: both are OpenAI's, of one format.
# Seen:     a tool's result that is a text is JSON in the template ("a.txt" with its quotes), and the text itself in
#           Harmony; a list of objects with more than 50 characters of fields is any[] in the template, and has its
#           fields in Harmony; the template's own indentation stands within a nested parameter. A model that is trained with the one is asked
#           with other tokens by an engine that renders with the other.
# Output:   template: objects?: any[] and <|message|>"a.txt"<|end|>; Harmony: objects?: {...}[] and <|message|>a.txt<|end|>
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check openai-harmony==0.0.8 transformers==5.24.0 jinja2==3.1.6
v/bin/pip install -q --disable-pip-version-check --no-deps trl==1.16.0
npm install --silent --no-audit --no-fund js-tiktoken@1.0.21
cat >look.py <<'PY'
import hashlib
import json
import os
import pathlib
import re
import sysconfig

# The vocabulary, one token a line, as openai-harmony wants it.
source = pathlib.Path("node_modules/js-tiktoken/dist/ranks/o200k_base.js").read_text()
lines = json.loads(source[source.index("{"):source.rindex("}") + 1])["bpe_ranks"].splitlines()
ranks = []
for line in filter(None, lines):
    _, first, *tokens = line.split(" ")
    ranks += ((int(first) + n, token) for n, token in enumerate(tokens))
vocabulary = "".join(f"{token} {rank}\n" for rank, token in sorted(ranks)).encode()
assert hashlib.sha256(vocabulary).hexdigest() == "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
pathlib.Path("o200k_base.tiktoken").write_bytes(vocabulary)
os.environ["TIKTOKEN_ENCODINGS_BASE"] = os.getcwd()

from openai_harmony import (Author, Conversation, DeveloperContent, HarmonyEncodingName, Message, Role, SystemContent,
                            ToolDescription, load_harmony_encoding)
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

record = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]}
parameters = {"type": "object", "properties": {"objects": {"type": "array", "items": record}, "nested": record}}

encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
tool = ToolDescription.new("run", "Runs.", parameters=parameters)
conversation = Conversation.from_messages([
    Message.from_role_and_content(Role.SYSTEM, SystemContent.new()),
    Message.from_role_and_content(Role.DEVELOPER, DeveloperContent.new().with_function_tools([tool])),
    Message.from_role_and_content(Role.USER, "List."),
    Message.from_role_and_content(Role.ASSISTANT, "{}").with_channel("commentary").with_recipient("functions.run"),
    Message.from_author_and_content(Author.new(Role.TOOL, "functions.run"), "a.txt")
    .with_recipient("assistant").with_channel("commentary"),
    Message.from_role_and_content(Role.ASSISTANT, "One.").with_channel("final"),
])
harmony = encoding.decode_utf8(encoding.render_conversation_for_training(conversation))

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
folder = pathlib.Path(sysconfig.get_path("purelib"), "trl", "chat_templates")
tokenizer.chat_template = (folder / "gptoss.jinja").read_text()
call = {"id": "1", "type": "function", "function": {"name": "run", "arguments": {}}}
messages = [{"role": "user", "content": "List."}, {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "name": "run", "content": "a.txt"}, {"role": "assistant", "content": "One."}]
function = {"name": "run", "description": "Runs.", "parameters": parameters}
template = tokenizer.apply_chat_template(messages, tools=[{"type": "function", "function": function}], tokenize=False)

for name, text in (("template", template), ("harmony", harmony)):
    declared = re.search(r"type run = .*?\) => any;", text, re.S)[0]
    result = re.search(r"<\|start\|>functions.run.*?<\|end\|>", text)[0]
    print(f"{name}: {declared!r} {result}")
assert "objects?: any[]" in template and re.search(r"objects\?: \{\s*a: string,\s*b: string,\s*\}\[\]", harmony)
assert re.search(r"b: \n {16}string\}", template) and re.search(r"nested\?: \{\n +a: string,\n", harmony)
assert '<|message|>"a.txt"<|end|>' in template and "<|message|>a.txt<|end|>" in harmony
PY
TRANSFORMERS_VERBOSITY=error v/bin/python -W ignore look.py
