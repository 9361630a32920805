"""Exact, reproducible, stratified SFT datasets from agent-conversation telemetry.

    import gleaner_sft

    dataset = gleaner_sft.export(input="logs/*.jsonl.zst", out="datasets", seed="s1")
    gleaner_sft.convert(dataset.location, preset="trl")

Every function is a command of the ``gleaner`` program, in this process: the same arguments, checks, results and bytes.
The commands and their options are described in docs/python.md.
"""

from ._commands import check, convert, diff, explain, export, plan, scan, verify
from ._native import VERSION as __version__
from .errors import (
    ConfigError,
    DatasetError,
    GleanerError,
    InputError,
    OutputError,
    WorkDirError,
)
from .results import (
    CheckResult,
    ConvertResult,
    DiffResult,
    ExplainResult,
    ExportResult,
    Finding,
    PlanResult,
    Result,
    ScanResult,
    Stratum,
    VerifyResult,
)

__all__ = [
    "CheckResult",
    "ConfigError",
    "ConvertResult",
    "DatasetError",
    "DiffResult",
    "ExplainResult",
    "ExportResult",
    "Finding",
    "GleanerError",
    "InputError",
    "OutputError",
    "PlanResult",
    "Result",
    "ScanResult",
    "Stratum",
    "VerifyResult",
    "WorkDirError",
    "__version__",
    "check",
    "convert",
    "diff",
    "explain",
    "export",
    "plan",
    "scan",
    "verify",
]
