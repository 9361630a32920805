#!/usr/bin/env bash
# mistral-common trains on another tool result than the one given, if the text happens to be JSON.
#
# Versions: mistral-common 1.13.1 (Python, with its own tekken V3 tokenizer file)
# Guess:    a tool message's content is a string, and its characters are what is encoded, quoted or not.
# Seen:     text that parses as JSON is parsed, and written anew: 1.50 becomes 1.5, of a repeated key one
#           is left, the spaces are another's, and the text 42 turns from a string into a number. Other
#           text is quoted. So two results that differ may encode alike.
# Output:   '{"x":1.50,"y":1,"y":2}' -> {"content": {"x": 1.5, "y": 2}, ...}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check mistral-common==1.13.1
cat >look.py <<'PY'
from mistral_common.protocol.instruct.messages import AssistantMessage, ToolMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import FunctionCall, ToolCall
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

tokenizer = MistralTokenizer.v3(is_tekken=True)


def encoded(result):
    call = ToolCall(id="abcdefghi", function=FunctionCall(name="f", arguments="{}"))
    messages = [UserMessage(content="go"), AssistantMessage(tool_calls=[call]),
                ToolMessage(content=result, tool_call_id="abcdefghi")]
    text = tokenizer.encode_chat_completion(ChatCompletionRequest(messages=messages)).text
    part = text.split("[TOOL_RESULTS]")[1].split("[/TOOL_RESULTS]")[0]
    print(repr(result), "->", part)
    return part


def whole(content):
    return '{"content": ' + content + ', "call_id": "abcdefghi"}'


assert encoded("done") == whole('"done"')
assert encoded("42") == whole("42")
assert encoded('{"x":1.50,"y":1,"y":2}') == whole('{"x": 1.5, "y": 2}')
assert encoded("1e3") == encoded("1000.0") == whole("1000.0")
PY
v/bin/python -W ignore look.py
