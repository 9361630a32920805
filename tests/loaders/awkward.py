"""Writes conversations that loaders stumble over, one kind a record: awkward.py FILE

Every text, argument and result has a mark of its own, such as `qparallel7q`: what is lost anywhere is found by counting
marks. The second of three turns has what is awkward; `conversationId` says what that is.
"""

import itertools
import json
import sys

marks = None


def mark():
    return f"q{marks[0]}{next(marks[1])}q"


def call(tool="grep", arguments=None, call_id=None, text=False):
    arguments = {"query": mark()} if arguments is None else arguments
    arguments = json.dumps(arguments) if text else arguments
    made = {"type": "function", "function": {"name": tool, "arguments": arguments}}
    return {"id": call_id, **made} if call_id else made


def own(arguments=None, result=None, **more):
    return {
        "tool": "grep",
        "arguments": {"query": mark()} if arguments is None else arguments,
        "result": mark() if result is None else result,
        **more,
    }


def reply(*calls, content=None):
    return {"role": "assistant", "content": mark() if content is None else content, "tool_calls": list(calls)}


def result(call_id=None, content=None, **more):
    made = {"role": "tool", "content": mark() if content is None else content, **more}
    return {"tool_call_id": call_id, **made} if call_id else made


def chat(call_id, **more):
    return [reply(call(call_id=call_id, **more)), result(call_id)]


def otel():
    return [
        {"role": "assistant", "parts": [{"type": "text", "content": mark()},
            {"type": "tool_call", "id": "a1", "name": "ls", "arguments": {"p": mark()}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "a1", "response": mark()}]},
    ]


def copilot_cli():
    return [
        {"type": "assistant.message", "data": {"content": mark(), "toolRequests": [
            {"toolCallId": "a1", "name": "ls", "arguments": {"p": mark()}}]}},
        {"type": "tool.execution_start", "data": {"toolCallId": "a1", "toolName": "ls"}},
        {"type": "tool.execution_complete", "data": {"toolCallId": "a1", "success": True, "result": {"content": mark()}}},
    ]


def atif():
    return {"schema_version": "ATIF-v1.5", "steps": [
        {"step_id": 1, "source": "agent", "message": mark(),
         "tool_calls": [{"tool_call_id": "a1", "function_name": "ls", "arguments": {"p": mark()}}],
         "observation": {"results": [{"source_call_id": "a1", "content": mark()}]}}]}


def open_hands():
    answer = {"id": "r", "choices": [{"message": {"content": mark(), "tool_calls": [call("run", {"p": mark()}, "a1", True)]}}]}
    metadata = {"function_name": "run", "tool_call_id": "a1", "model_response": answer}
    return [
        {"id": 1, "source": "agent", "action": "run", "args": {}, "tool_call_metadata": metadata},
        {"id": 2, "source": "agent", "observation": "run", "cause": 1, "content": mark(), "tool_call_metadata": metadata},
    ]


def responses():
    return [
        {"type": "function_call", "call_id": "a1", "name": "ls", "arguments": json.dumps({"p": mark()})},
        {"type": "function_call_output", "call_id": "a1", "output": mark()},
    ]


def tools(*definitions):
    return {"record": {"tools": list(definitions)}, "trajectory": chat("a1")}


FUNCTION = {"type": "function", "function": {"name": "grep", "description": "d", "parameters": {"type": "object"}}}

# What the second turn has: a trajectory, or more: `user`, `model`, `record`.
KINDS = {
    "plain": lambda: [],
    "absent": lambda: None,
    "parallel": lambda: [own(round=0, id="a1"), own(round=0, id="a2")],
    "parallelchat": lambda: [reply(call(call_id="a1"), call(call_id="a2")), result("a2"), result("a1")],
    "sequential": lambda: [own(), own()],
    "noresult": lambda: [own(id="a1"), {"tool": "ls", "id": "a2", "arguments": {"p": mark()}}],
    "nullresult": lambda: [{"tool": "ls", "arguments": {"p": mark()}, "result": None}],
    "noresultfirst": lambda: {"first": [{"tool": "ls", "arguments": {"p": mark()}}]},
    "twousers": lambda: {"model": "", "trajectory": []},
    "twousersinside": lambda: [{"role": "user", "content": mark()}, *chat("a1")],
    "emptyreply": lambda: {"model": " \n", "trajectory": [own()]},
    "notextbeside": lambda: [reply(call(call_id="a1"), content=""), result("a1")],
    "nullcontent": lambda: [{"role": "assistant", "content": None, "tool_calls": [call(call_id="a1")]}, result("a1")],
    "nojson": lambda: [own('{"query": "' + mark())],
    "nojsonlater": lambda: [own(), own("query=" + mark()), own()],
    "nojsonbeside": lambda: [reply(call(arguments="{'query': '" + mark() + "'}", call_id="a1")), result("a1")],
    "listarguments": lambda: [own([mark(), 2])],
    "numberarguments": lambda: [own(7)],
    "textarguments": lambda: [own(json.dumps({"query": mark()}))],
    "twicearguments": lambda: [own(json.dumps(json.dumps({"query": mark()})))],
    "noarguments": lambda: [{"tool": "ls", "result": mark()}],
    "emptyarguments": lambda: [own("")],
    "longids": lambda: chat("toolu_01A09q90qw90lq917835lq9"),
    "nineids": lambda: chat("abcDEF123"),
    "oddids": lambda: chat("call/1 é"),
    "sameids": lambda: [*chat("a1"), *chat("a1")],
    "noids": lambda: [reply(call()), result()],
    "noidstwo": lambda: [reply(call(), call()), result(), result()],
    "noidsuneven": lambda: [reply(call(), call()), result()],
    "orphan": lambda: [result("nobody"), *chat("a1")],
    "toolschat": lambda: tools(FUNCTION),
    "toolsanthropic": lambda: tools({"name": "grep", "description": "d", "input_schema": {"type": "object"}}),
    "toolsother": lambda: tools({**FUNCTION, "function": {"name": "other"}}),
    "toolsunreadable": lambda: tools({"description": mark()}),
    "long": lambda: [own(result=" ".join(["word"] * 200_000) + mark())],
    "parts": lambda: [reply(call(call_id="a1")), result("a1", [{"type": "text", "text": mark()}, {"type": "text", "text": mark()}])],
    "image": lambda: [reply(call(call_id="a1")), result("a1", [{"type": "text", "text": mark()}, {"type": "image_url", "image_url": {"url": mark()}}])],
    "objectresult": lambda: [own(result={"found": [mark(), 1.50, None]})],
    "jsonresult": lambda: [own(result=json.dumps({"found": mark()}))],
    "numberresult": lambda: [own(result=12)],
    "boolresult": lambda: [own(result=False)],
    "zeroresult": lambda: [own(result="00123")],
    "blankresult": lambda: [own(result="")],
    "mixed": lambda: [own(), *chat("a1"), *responses()],
    "astext": lambda: json.dumps([own()]),
    "counts": lambda: {"trajectory": {"grep": 3}},
    "sweagent": lambda: [{"thought": mark(), "action": "ls " + mark(), "observation": mark()}],
    "otel": otel,
    "cli": copilot_cli,
    "atif": lambda: {"trajectory": atif()},
    "openhands": open_hands,
    "responses": responses,
    "systeminside": lambda: [{"role": "system", "content": mark()}, *chat("a1")],
    "system": lambda: {"record": {"system": mark()}, "trajectory": []},
    "oddname": lambda: chat("a1", tool="functions.grep it!" + "x" * 70),
    "unicode": lambda: [own({"query": mark() + " é漢🙂 \u0000\u001b[1m\u2028 </s> <|im_end|> {{ x }} {% y %}"})],
    "deep": lambda: [own({"a": {"b": [{"c": [mark()]}]}})],
    "textbetween": lambda: [{"role": "assistant", "content": mark()}, *chat("a1")],
}


def conversation(kind):
    global marks
    marks = (kind, itertools.count())
    made = KINDS[kind]()
    if not (isinstance(made, dict) and {"first", "trajectory", "record"} & set(made)):
        made = {"trajectory": made}
    turns = [{"turnIndex": n, "userMessage": mark(), "modelMessage": mark()} for n in (1, 2, 3)]
    if made.get("trajectory") is not None:
        turns[1]["trajectory"] = made["trajectory"]
    if "first" in made:
        turns[0]["trajectory"] = made["first"]
    turns[1]["modelMessage"] = made.get("model", turns[1]["modelMessage"])
    return {"conversationId": kind, "userName": "n", "turnCount": 3, "bucket": "short", "turnsArray": turns,
            "promptTokens": 1, "completionTokens": 1, **made.get("record", {})}


def main(file):
    with open(file, "w") as out:
        for kind in KINDS:
            out.write(json.dumps(conversation(kind)) + "\n")
    print(f"{len(KINDS)} kinds of conversations")


if __name__ == "__main__":
    main(sys.argv[1])
