#!/usr/bin/env bash
# Two agent frameworks write one convention for messages in spans, and differ in where a tool's result stands.
#
# Versions: pydantic-ai-slim 2.68.0, agent-framework-core 1.23.0, opentelemetry-sdk 1.45.2 (Python)
# Guess:    `gen_ai.input.messages` of both follow OpenTelemetry's convention for generative AI: a message of the role
#           tool, with a part tool_call_response whose `response` is the result, and arguments as an object.
# Seen:     pydantic-ai writes the result as JSON under `result`, in a message of the role user; Agent Framework writes
#           it under `response`, in one of the role tool, but as a text of JSON. Arguments are text or an object in both,
#           as the model gave them. So a reader of the convention finds no results of the one, and texts of the other.
# Output:   user {"type": "tool_call_response", "id": "a", "name": "ls", "result": {"size": 1.0}}
#           tool {"type": "tool_call_response", "id": "a", "response": "{\"size\": 1.0}"}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pydantic-ai-slim==2.68.0 agent-framework-core==1.23.0 opentelemetry-sdk==1.45.2
cat >look.py <<'PY'
import asyncio
import json

import agent_framework
import agent_framework.observability
from agent_framework import ChatResponse, Content, Message
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.instrumented import InstrumentationSettings

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
ARGUMENTS = '{"folder": "src"}'


def ls(folder: str) -> dict:
    """Lists."""
    return {"size": 1.0}


def input_messages():
    """Those of the last request to the model."""
    inputs = [span.attributes["gen_ai.input.messages"] for span in spans.get_finished_spans()
              if span.attributes.get("gen_ai.operation.name") == "chat"]
    spans.clear()
    return json.loads(inputs[-1])


def pydantic_ai():
    def model(messages, info):
        if len(messages) == 1:
            return ModelResponse(parts=[ToolCallPart("ls", ARGUMENTS, tool_call_id="a")])
        return ModelResponse(parts=[TextPart("Done.")])

    agent = Agent(FunctionModel(model), tools=[ls])
    agent.instrument = InstrumentationSettings(tracer_provider=provider)
    agent.run_sync("List.")
    return input_messages()


class Client(agent_framework.FunctionInvocationLayer, agent_framework.ChatMiddlewareLayer,
             agent_framework.observability.ChatTelemetryLayer, agent_framework.BaseChatClient):
    calls = 0

    def _inner_get_response(self, *, messages, **_):
        async def answer():
            Client.calls += 1
            call = Content.from_function_call("a", "ls", arguments=ARGUMENTS)
            return ChatResponse(messages=[Message("assistant", [call if Client.calls == 1 else Content.from_text("Done.")])])

        return answer()


def framework():
    agent_framework.observability.enable_instrumentation()
    agent_framework.observability.enable_sensitive_telemetry()
    asyncio.run(agent_framework.Agent(client=Client(), tools=[ls]).run("List."))
    return input_messages()


def result(messages):
    message, = (m for m in messages if m["parts"][0]["type"] == "tool_call_response")
    print(message["role"], json.dumps(message["parts"][0]))
    return message["role"], message["parts"][0]


one, other = pydantic_ai(), framework()
role, part = result(one)
assert role == "user" and part["result"] == {"size": 1.0} and "response" not in part
role, part = result(other)
assert role == "tool" and part["response"] == '{"size": 1.0}' and "result" not in part
for messages in (one, other):
    call = messages[1]["parts"][0]
    assert call["type"] == "tool_call" and call["arguments"] == ARGUMENTS
PY
v/bin/python -W ignore look.py
