"""What commands come to: their JSON, and what most people want of it by name."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    json: dict[str, Any] = field(repr=False)
    """The object that the command line prints with ``--json``."""
    exit_code: int
    """What the program would have ended with."""


@dataclass(frozen=True)
class _Dataset(Result):
    """A result about a dataset."""

    @property
    def location(self) -> str:
        """Where the dataset lies: a folder, or an address."""
        return str(self.json["location"])

    @property
    def path(self) -> Path:
        """The dataset's folder.

        Raises:
            ValueError: If it lies in a container.
        """
        if "://" in self.location:
            raise ValueError(f"{self.location} is no folder")
        return Path(self.location)

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return str(self.json["dataset"])


@dataclass(frozen=True)
class Stratum:
    """The records of a split and a bucket."""

    split: str
    bucket: str
    target: int | None
    """Records wanted; all that are valid if there is no number."""
    population: int
    """Conversations that belong to it."""
    records: int
    """Records written."""
    invalid: int
    """Records that failed."""
    shortfall: int
    """Records that are missing."""
    file: str | None
    """Its file in the dataset, if it has records."""


@dataclass(frozen=True)
class ExportResult(_Dataset):
    """A published dataset."""

    manifest: dict[str, Any] = field(repr=False)
    """The manifest, as it is in ``metadata.json``."""
    report_html: str = field(repr=False)
    """The report of the run: a page that loads nothing."""

    @property
    def content_sha256(self) -> str:
        """Equal for equal data."""
        return str(self.json["content_sha256"])

    @property
    def strata(self) -> list[Stratum]:
        """The strata, in the order of the files."""
        names = Stratum.__dataclass_fields__
        return [Stratum(**{name: one[name] for name in names}) for one in self.json["strata"]]

    @property
    def counts(self) -> dict[str, int]:
        """Records written by stratum: ``{"train/short": 1500}``."""
        return {f"{one.split}/{one.bucket}": one.records for one in self.strata}

    @property
    def files(self) -> list[Path]:
        """The files with records, in the order of the strata."""
        return [self.path / one.file for one in self.strata if one.file is not None]

    @property
    def shortfall(self) -> int:
        """Records that are missing in all strata together."""
        return int(self.json["shortfall"])

    @property
    def already_published(self) -> bool:
        """Whether an earlier call had published it, and nothing was done now."""
        return bool(self.json["already_published"])

    @property
    def converted(self) -> list[ConvertResult]:
        """Its conversions, if any were asked for."""
        return [ConvertResult(one, self.exit_code) for one in self.json.get("converted", [])]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(one.split)}/{html.escape(one.bucket)}</td><td>{'all' if one.target is None else one.target}</td>"
            f"<td>{one.population}</td><td>{one.records}</td><td>{one.invalid}</td><td>{one.shortfall}</td></tr>"
            for one in self.strata
        )
        page = html.escape(self.report_html, quote=True)
        return (
            f"<p><b>{html.escape(self.dataset)}</b> in {html.escape(self.location)}<br><code>{self.content_sha256}</code></p>"
            "<table><thead><tr><th>stratum</th><th>target</th><th>population</th><th>records</th><th>invalid</th>"
            f"<th>shortfall</th></tr></thead><tbody>{rows}</tbody></table>"
            "<details><summary>Report of the run</summary>"
            f'<iframe sandbox="allow-scripts" srcdoc="{page}" style="width:100%;height:40em;border:0"></iframe></details>'
        )


@dataclass(frozen=True)
class Finding:
    """Something of a file that is not as it must be."""

    path: str
    what: str


@dataclass(frozen=True)
class VerifyResult(_Dataset):
    """What a check of a published dataset found."""

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return bool(self.json["good"])

    @property
    def records(self) -> int:
        """Records that were checked."""
        return int(self.json["records"])

    @property
    def found(self) -> int:
        """How many differences there are; not every one is listed."""
        return int(self.json["found"])

    @property
    def findings(self) -> list[Finding]:
        """The differences that are listed."""
        return [Finding(one["path"], one["what"]) for one in self.json["findings"]]


@dataclass(frozen=True)
class ConvertResult(_Dataset):
    """A dataset in the format of a trainer."""

    @property
    def preset(self) -> str:
        """The trainer."""
        return str(self.json["preset"])

    @property
    def content_sha256(self) -> str:
        """Equal for equal data."""
        return str(self.json["content_sha256"])

    @property
    def records_in(self) -> int:
        """Records read."""
        return int(self.json["records_in"])

    @property
    def records_out(self) -> int:
        """Records written."""
        return int(self.json["records_out"])

    @property
    def files(self) -> list[Path]:
        """The files with records."""
        return [self.path / file["path"] for split in self.json["splits"] for file in split["files"]]


@dataclass(frozen=True)
class CheckResult(_Dataset):
    """What a loader would do to a dataset."""

    @property
    def records(self) -> int:
        """Records looked at."""
        return int(self.json["records"])

    @property
    def dropped(self) -> int:
        """Records that would not be trained on."""
        return int(self.json["dropped"])

    @property
    def truncated(self) -> int:
        """Other records of which a part would not be."""
        return int(self.json["truncated"])

    @property
    def rules(self) -> list[dict[str, Any]]:
        """What was found: ``kind``, ``rule``, ``records``, ``times``."""
        return list(self.json["rules"])

    @property
    def tokens(self) -> dict[str, Any] | None:
        """How long records are, if a tokenizer was given."""
        tokens: dict[str, Any] | None = self.json["tokens"]
        return tokens


@dataclass(frozen=True)
class ScanResult(Result):
    """Secrets and personal data, without their text."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return self.exit_code == 0


@dataclass(frozen=True)
class DiffResult(Result):
    """What changed between two datasets."""

    @property
    def same(self) -> bool:
        """Whether nothing did."""
        return bool(self.json["same"])


@dataclass(frozen=True)
class ExplainResult(Result):
    """Where a conversation is, or why it is not."""


@dataclass(frozen=True)
class PlanResult(Result):
    """What an export would do, cost and refuse."""

    @property
    def refused(self) -> bool:
        """Whether an export would be refused."""
        return self.exit_code != 0

    @property
    def one_machine(self) -> bool | None:
        """Whether this machine is enough; ``None`` if that shows only when the input is read."""
        return cast("bool | None", self.json["machine"]["one_machine"])
