"""The package against the program: the same bytes, the same JSON, the same errors; and what only a package has.

`GLEANER_TEST_PROGRAM` names the program.
"""

import asyncio
import contextlib
import datetime
import io
import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import gleaner_sft

PROGRAM = os.environ["GLEANER_TEST_PROGRAM"]

# Some seconds of work: whoever stops it at its first event stops it long before its end.
LONG = {"source": {"kind": "synthetic", "synthetic": {"conversations": 60_000}}, "chunks": {"count": 200}}


def program(*arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([PROGRAM, *arguments], text=True, capture_output=True)
    assert done.returncode == exit_code, done
    return done


class Package(unittest.TestCase):
    rows: Path
    published: gleaner_sft.ExportResult

    @classmethod
    def setUpClass(cls) -> None:
        folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.rows = Path(folder, "rows")
        program("synth", "--conversations=200", "--schema=turns", f"--out={cls.rows}")
        cls.published = export_of(cls.rows, Path(folder, "published"))

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_a_dataset_has_the_bytes_of_the_program(self) -> None:
        out = self.folder / "program"
        flags = [f"--input={self.rows}", f"--out={out}", f"--work-dir={self.folder / 'work'}"]
        seed = ["--seed=s1", "--targets=all", "--name=d"]
        printed = json.loads(program("export", "--json", "--progress=none", *flags, *seed).stdout)
        ours = self.published
        self.assertEqual(ours.content_sha256, printed["content_sha256"])
        self.assertEqual(ours.json.keys(), printed.keys())
        self.assertGreater(len(ours.files), 3)
        for file in ours.files:
            self.assertEqual(file.read_bytes(), (out / "d" / file.relative_to(ours.path)).read_bytes())
        self.assertEqual(ours.manifest, json.loads((ours.path / "metadata.json").read_bytes()))
        self.assertEqual(sum(ours.counts.values()), sum(len(f.read_bytes().splitlines()) for f in ours.files))

    def test_results_are_the_json_of_the_program(self) -> None:
        dataset = self.published.location
        verified = gleaner_sft.verify(dataset)
        self.assertTrue(verified.good)
        self.assertEqual(verified.json, json.loads(program("verify", "--json", dataset).stdout))
        checked = gleaner_sft.check(Path(dataset), preset="openai", each=True)
        self.assertEqual(
            checked.json,
            json.loads(
                program(
                    "check", "--json", "--for=openai", "--each", dataset, exit_code=3 if checked.dropped else 0
                ).stdout
            ),
        )
        converted = gleaner_sft.convert(dataset, preset="trl", out=self.folder)
        program("convert", "--json", f"--out={self.folder}", "--name=theirs", dataset, exit_code=converted.exit_code)
        theirs = json.loads((self.folder / "theirs" / "metadata.json").read_bytes())
        self.assertEqual(converted.content_sha256, theirs["content_sha256"])
        self.assertTrue(gleaner_sft.verify(converted.path).good)
        self.assertTrue(gleaner_sft.diff(dataset, dataset).same)
        self.assertEqual(gleaner_sft.scan(dataset).json, json.loads(program_scan(dataset)))

    def test_a_mapping_is_a_configuration_file(self) -> None:
        keys = {
            "source": {"kind": "files", "files": {"paths": [self.rows]}},
            "selection": {"targets": {"train": {"short": 3}}},
        }
        file = self.folder / "gleaner.toml"
        file.write_text(
            f"source = {{ kind = 'files', files.paths = ['{self.rows}'] }}\nselection.targets.train.short = 3\n"
        )
        plans = [gleaner_sft.plan(config=config, set={"name": "d", "chunks.count": 7}) for config in (keys, file)]
        self.assertEqual(plans[0].json["fingerprint"], plans[1].json["fingerprint"])
        self.assertEqual(plans[0].json["strata"][0]["target"], 3)
        self.assertEqual(plans[0].one_machine, plans[0].json["machine"]["one_machine"])

    def test_arguments_reach_the_run(self) -> None:
        few = {split: {"short": 1, "medium": 0, "long": 0} for split in ("train", "val", "test")}
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        made = export_of(self.rows, self.folder, targets=few, split=["train"], window=(start, None), format="json")
        self.assertEqual(made.counts, {"train/short": 1})
        self.assertEqual(made.manifest["window"]["start"], "2020-01-01T00:00:00Z")
        self.assertEqual([file.suffix for file in made.files], [".json"])

    def test_errors_are_exceptions_with_the_text_of_the_program(self) -> None:
        missing = str(self.folder / "missing")
        refused: list[tuple[type[gleaner_sft.GleanerError], Any, list[str], int]] = [
            (gleaner_sft.InputError, lambda: gleaner_sft.export(input=missing), ["export", f"--input={missing}"], 2),
            (gleaner_sft.DatasetError, lambda: gleaner_sft.verify(missing), ["verify", missing], 1),
            (
                gleaner_sft.ConfigError,
                lambda: gleaner_sft.export(input=self.rows, set={"sed": 1}),
                ["export", f"--input={self.rows}", "--set=sed=1"],
                2,
            ),
            (
                gleaner_sft.OutputError,
                lambda: export_of(self.rows, self.published.path.parent, seed="other"),
                ["export", f"--input={self.rows}", f"--out={self.published.path.parent}", "--name=d"]
                + ["--seed=other", "--targets=all", f"--work-dir={self.folder / 'work'}"],
                2,
            ),
        ]
        for kind, call, arguments, exit_code in refused:
            with self.subTest(kind=kind), self.assertRaises(kind) as raised:
                call()
            self.assertEqual(raised.exception.exit_code, exit_code)
            printed = program(*arguments, exit_code=exit_code).stderr.strip().splitlines()
            # Progress goes before.
            first = next(at for at, line in enumerate(printed) if line.startswith("error: "))
            self.assertEqual(f"error: {raised.exception}", "\n".join(printed[first:]))

    def test_no_error_shows_a_secret(self) -> None:
        with mock.patch.dict(os.environ, {"AZURE_CLIENT_SECRET": "canary-of-a-secret"}):
            with self.assertRaises(gleaner_sft.ConfigError) as raised:
                gleaner_sft.export(input=self.rows, set={"canary-of-a-secret": 1})
        self.assertIn("***", str(raised.exception))
        self.assertNotIn("canary-of-a-secret", str(raised.exception))

    def test_every_event_is_handed_on_from_the_first_to_the_end(self) -> None:
        events: list[dict[str, Any]] = []
        export_of(self.rows, self.folder, on_event=events.append)
        self.assertEqual([event["number"] for event in events], list(range(len(events))))
        self.assertEqual((events[-1]["notice"], events[-1]["state"]), ("ended", "published"))

    def test_an_exception_of_a_listener_stops_the_run_which_can_be_resumed(self) -> None:
        def refuse(event: dict[str, Any]) -> None:
            raise LookupError(event["notice"])

        where: dict[str, Any] = {"config": LONG, "out": self.folder / "out", "work_dir": self.folder / "work"}
        with self.assertRaises(LookupError):
            gleaner_sft.export(**where, on_event=refuse)
        self.assertEqual(list(self.folder.glob("out/*/metadata.json")), [])
        self.assertEqual(gleaner_sft.plan(**where).json["work"], "resume the run that is there")

    def test_ctrl_c_stops_a_run_which_can_be_resumed(self) -> None:
        def press() -> None:
            while not (self.folder / "work" / "run.json").exists():
                pass
            os.kill(os.getpid(), signal.SIGINT)

        # Who runs this in the background of a shell has it ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        where: dict[str, Any] = {"config": LONG, "out": self.folder / "out", "work_dir": self.folder / "work"}
        presser = threading.Thread(target=press)
        presser.start()
        # Nothing of Python runs on this thread meanwhile that could see it instead.
        with self.assertRaises(KeyboardInterrupt):
            gleaner_sft.export(**where)
        presser.join()
        self.assertEqual(list(self.folder.glob("out/*/metadata.json")), [])
        self.assertEqual(gleaner_sft.plan(**where).json["work"], "resume the run that is there")

    def test_exports_run_at_once_on_threads_and_within_an_event_loop(self) -> None:
        # Each waits at its first event until the other is there too.
        both = threading.Barrier(2, timeout=60)

        def one(number: int) -> str:
            def meet(event: dict[str, Any]) -> None:
                if event["number"] == 0:
                    both.wait()

            return export_of(self.rows, self.folder / str(number), on_event=meet).content_sha256

        async def within() -> str:
            return export_of(self.rows, self.folder / "loop").content_sha256

        with ThreadPoolExecutor(2) as threads:
            digests = {*threads.map(one, range(2)), asyncio.run(within())}
        self.assertEqual(digests, {self.published.content_sha256})

    def test_bars_show_all_records(self) -> None:
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown):
            result = export_of(self.rows, self.folder, progress=True)
        total = sum(result.counts.values())
        self.assertRegex(shown.getvalue(), r"chunks: 100%\|[^\r\n]*, done")
        self.assertRegex(shown.getvalue(), rf"records:[^\r\n]*\b{total}/\d+ [^\r\n]*, done")

    def test_a_notebook_shows_counts_and_the_report(self) -> None:
        page = self.published._repr_html_()
        self.assertIn(self.published.content_sha256, page)
        for name, records in self.published.counts.items():
            self.assertRegex(page, f"<td>{name}</td>.*<td>{records}</td>")
        self.assertIn("srcdoc=", page)
        self.assertIn(self.published.json["run_id"], self.published.report_html)


def export_of(rows: Path, out: Path, *, seed: str = "s1", **more: Any) -> gleaner_sft.ExportResult:
    work_dir = out.parent / f"{out.name}-work-{seed}"
    return gleaner_sft.export(
        **{"input": rows, "out": out, "name": "d", "seed": seed, "targets": "all", "work_dir": work_dir, **more}
    )


def program_scan(dataset: str) -> str:
    return subprocess.run([PROGRAM, "scan", "--json", dataset], text=True, capture_output=True).stdout


if __name__ == "__main__":
    unittest.main()
