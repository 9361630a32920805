"""The commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from . import _native
from ._arguments import Config, StrPath, configuration, inputs, options, overrides, text
from ._engine import Engine, installed
from .errors import GleanerError
from .progress import Bars, JobLines, wanted
from .results import (
    CheckResult,
    ConvertResult,
    DiffResult,
    ExplainResult,
    ExportResult,
    PlanResult,
    ScanResult,
    VerifyResult,
)

Preset: TypeAlias = Literal["trl", "openai", "llamafactory", "verl", "mistral", "atif"]
"""A trainer."""

Unfinished: TypeAlias = Literal["drop-turn-and-after", "drop-record", "keep"]
"""What becomes of a turn whose tool call has no result."""

Paths: TypeAlias = StrPath | Sequence[StrPath]
"""A path, or a list of paths."""

Targets: TypeAlias = Literal["all"] | Mapping[str, Mapping[str, int]]
"""All records, or how many: ``{"train": {"short": 1500}}``."""


def export(
    *,
    config: Config | None = None,
    input: Paths | None = None,
    out: StrPath | None = None,
    name: str | None = None,
    seed: str | None = None,
    targets: Targets | None = None,
    set: Mapping[str, Any] | None = None,
    schema: Literal["auto", "conversations", "turns", "copilot_chat"] | None = None,
    strict_input: bool = False,
    split: str | Sequence[str] | None = None,
    test: bool = False,
    presets: Preset | Sequence[Preset] | None = None,
    exclude: StrPath | None = None,
    window: tuple[object | None, object | None] | str | None = None,
    format: Literal["json", "jsonl"] | None = None,
    work_dir: StrPath | None = None,
    fresh: bool = False,
    chunks: int | None = None,
    fetchers: int | None = None,
    validators: int | None = None,
    uploaders: int | None = None,
    allow_missing_chunks: int | None = None,
    max_malformed: float | None = None,
    report: bool = False,
    progress: bool | None = None,
    on_event: Callable[[dict[str, Any]], object] | None = None,
    _on: Engine | None = None,
) -> ExportResult:
    """Samples, validates and publishes a dataset, as ``gleaner export``. The same call resumes a run that was stopped.

    Other Python threads work meanwhile. Ctrl-C stops the run in order and raises ``KeyboardInterrupt``.

    Args:
        config: A configuration file, or its keys: ``{"selection": {"seed": "s1"}}``.
        input: Files, folders or globs.
        out: A folder, or an address of Azure Blob Storage.
        name: The dataset's name; may contain ``{total}``, ``{window}`` and ``{timestamp}``.
        seed: The seed of the sample: any text.
        targets: How many records of each split and bucket; what is not named keeps what the configuration says.
        set: Other keys of the configuration; they beat it: ``{"limits.in_flight": "128MB"}``.
        schema: What the rows are.
        strict_input: Refuse input that has files of other kinds.
        split: Keep only the targets of these splits.
        test: Small targets, where nothing else is set.
        presets: Convert for these trainers as well.
        exclude: A file of ids and users to leave out.
        window: First instant inside and first instant outside, or a length that ends now, such as ``"15d"``.
        format: The format of the files.
        work_dir: What a stopped run needs to resume; ``.gleaner/FINGERPRINT`` if it is not given.
        fresh: Start over instead of resuming.
        chunks: Number of chunks.
        fetchers: Chunks fetched at once.
        validators: Batches validated at once.
        uploaders: Files written at once.
        allow_missing_chunks: Publish although this many hash chunks are missing.
        max_malformed: Fail if more rows than this are malformed, in percent.
        report: Put the run's report beside the dataset, too.
        progress: Show bars; if it is not given, in notebooks and terminals that have tqdm.
        on_event: Called with each event of the run, on this thread. An exception stops the run in order and is raised.

    Returns:
        What was published. With a shortfall ``exit_code`` is 3.

    Raises:
        GleanerError: With the text of the command line.
    """
    where, keys = configuration(config)
    if isinstance(window, (str, type(None))):
        span = options(window_last=window)
    else:
        span = options(window_start=window[0], window_end=window[1])
    exact = targets if isinstance(targets, Mapping) else None
    arguments = [
        "export",
        "--json",
        "--progress=none",
        *where,
        *span,
        *options(input=inputs(input), out=out, name=name, seed=seed, targets=None if exact is not None else targets),
        *options(schema=schema, strict_input=strict_input, split=split, test=test, for_=presets, exclude=exclude),
        *options(format=format, work_dir=work_dir, fresh=fresh, chunks=chunks, fetchers=fetchers),
        *options(validators=validators, uploaders=uploaders, allow_missing_chunks=allow_missing_chunks),
        *options(max_malformed=max_malformed, report=report),
        *overrides(set),
        *overrides({"selection.targets": exact} if exact is not None else None),
    ]
    with Bars(wanted(progress)) as bars:
        listeners = [] if on_event is None else [on_event]
        if _on is not None and progress is not False and not bars.shown:
            listeners.append(JobLines(_on.name).show)
        listener = _of_json(*listeners) if listeners else None
        on_status = _of_json(bars.show) if bars.shown else None
        result, manifest, page, exit_code = _native.export(arguments, keys, listener, on_status, _on)
    return ExportResult(json.loads(result), exit_code, json.loads(manifest), page)


def export_command(on: Engine, package: str, arguments: Sequence[str]) -> int:
    """`gleaner export` with these arguments, whose rows an engine reads: prints what it prints, gives its exit code.
    Begins if the engine's package is installed."""
    given = ["export", "--json", "--progress=none", *arguments]
    if {"-h", "--help"} & set(arguments):
        print(_native.help("export"))
        return 0
    try:
        installed(package)
        result, _, _, exit_code = _native.export(given, None, _of_json(JobLines(on.name).show), None, on)
    except GleanerError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2
    print(result)
    return exit_code


def _of_json(*listeners: Callable[[dict[str, Any]], object]) -> Callable[[str], object]:
    def listen(line: str) -> None:
        event = json.loads(line)
        for listener in listeners:
            listener(event)

    return listen


def _run(
    command: str,
    positional: Sequence[StrPath],
    given: list[str],
    config: Config | None,
    set: Mapping[str, Any] | None,
) -> tuple[Any, int]:
    where, keys = configuration(config)
    names = [text(one) for one in positional]
    result, exit_code = _native.run([command, "--json", *where, *overrides(set), *given, "--", *names], keys)
    return json.loads(result), exit_code


def verify(
    dataset: StrPath,
    *,
    quick: bool = False,
    tokenizer: StrPath | None = None,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> VerifyResult:
    """Checks every digest, count and rule of a published dataset again, without its source, as ``gleaner verify``.

    Args:
        dataset: The dataset's folder, or its address in a container.
        quick: Compare lengths and recorded digests only.
        tokenizer: The ``tokenizer.json`` by which records are not too long.
        config: Check against the selection of this configuration; it also says how to reach a container.
        set: Other keys of that configuration.

    Raises:
        GleanerError: If it cannot be checked. Differences are no exception: see ``good``.
    """
    given = options(quick=quick, tokenizer=tokenizer)
    return VerifyResult(*_run("verify", [dataset], given, config, set))


def convert(
    dataset: StrPath,
    *,
    preset: Preset = "trl",
    out: StrPath | None = None,
    name: str | None = None,
    format: Literal["json", "jsonl", "parquet"] | None = None,
    unfinished: Unfinished | None = None,
    tools: StrPath | None = None,
    max_file: str | None = None,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> ConvertResult:
    """Converts a published dataset to the format of a trainer, as ``gleaner convert``.

    Args:
        dataset: The dataset's folder, or its address in a container.
        preset: The trainer.
        out: The folder or the container of the new dataset; that of the old one if it is not given.
        name: The name of the new dataset; the old name followed by the preset if it is not given.
        format: The format of the files; what the preset's loader reads if it is not given.
        unfinished: What becomes of a turn whose tool call has no result.
        tools: Tool definitions for records that have none: a JSON file with a list.
        max_file: Largest size of a file, such as ``"500MB"``.
        config: How to reach a container.
        set: Other keys of that configuration.

    Returns:
        What was published. If records were dropped ``exit_code`` is 3.

    Raises:
        GleanerError: With the text of the command line.
    """
    given = options(for_=preset, out=out, name=name, format=format, max_file=max_file)
    given += options(unfinished=unfinished, tools=tools)
    return ConvertResult(*_run("convert", [dataset], given, config, set))


def check(
    dataset: StrPath,
    *,
    preset: Preset = "trl",
    tokenizer: StrPath | None = None,
    template: StrPath | None = None,
    max_length: int | None = None,
    each: bool = False,
    unfinished: Unfinished | None = None,
    tools: StrPath | None = None,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> CheckResult:
    """Says what a loader would drop, truncate or change of a published dataset, as ``gleaner check``.

    Args:
        dataset: The dataset's folder, or its address in a container.
        preset: The trainer.
        tokenizer: Count tokens with this ``tokenizer.json``.
        template: Count what this chat template makes of the messages: a file, a name, or ``"chatml"``.
        max_length: The most tokens of a record that will be trained on.
        each: Report each record.
        unfinished: What becomes of a turn whose tool call has no result.
        tools: Tool definitions for records that have none.
        config: How to reach a container.
        set: Other keys of that configuration.

    Raises:
        GleanerError: If it cannot be checked. What would be lost is no exception: see ``dropped`` and ``truncated``.
    """
    given = options(for_=preset, tokenizer=tokenizer, template=template, max_length=max_length, each=each)
    given += options(unfinished=unfinished, tools=tools)
    return CheckResult(*_run("check", [dataset], given, config, set))


def scan(
    target: StrPath,
    *,
    only: Literal["secrets", "personal"] | None = None,
    rules: StrPath | None = None,
    each: bool = False,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> ScanResult:
    """Reports secrets and personal data in files or a published dataset, without their text, as ``gleaner scan``."""
    given = options(only=only, rules=rules, each=each)
    return ScanResult(*_run("scan", [target], given, config, set))


def diff(
    a: StrPath,
    b: StrPath,
    *,
    each: bool = False,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> DiffResult:
    """Says what changed between two published datasets, as ``gleaner diff``."""
    return DiffResult(*_run("diff", [a, b], options(each=each), config, set))


def explain(
    conversation_id: str,
    dataset: StrPath,
    *,
    input: Paths | None = None,
    exclude: StrPath | None = None,
    schema: str | None = None,
    config: Config | None = None,
    set: Mapping[str, Any] | None = None,
) -> ExplainResult:
    """Says where in a published dataset a conversation is, or why it is not, as ``gleaner explain``."""
    given = options(input=inputs(input), exclude=exclude, schema=schema)
    return ExplainResult(*_run("explain", [conversation_id, dataset], given, config, set))


def plan(
    *,
    config: Config | None = None,
    input: Paths | None = None,
    out: StrPath | None = None,
    seed: str | None = None,
    work_dir: StrPath | None = None,
    set: Mapping[str, Any] | None = None,
) -> PlanResult:
    """Shows what an export would do, cost and refuse, as ``gleaner plan``; writes nothing."""
    given = options(input=inputs(input), out=out, seed=seed, work_dir=work_dir)
    return PlanResult(*_run("plan", [], given, config, set))
