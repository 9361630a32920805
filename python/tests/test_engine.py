"""What engines have in common, on an engine of a few lines: no Spark and no Ray is needed."""

from __future__ import annotations

import contextlib
import html
import io
import pathlib
import tempfile
import unittest
from collections.abc import Iterator, Sequence
from typing import Any

import gleaner_sft
from gleaner_sft import _commands, _native
from gleaner_sft._engine import LEDGER, grouped, installed, reason

KEYS = {"name": "d", "limits": {"max_malformed_percent": 100}}


class Plain:
    """Scans one piece after the other and groups one chunk after the other; may lose what the last piece has counted."""

    name = "plain"
    has_table = False

    def __init__(self, loses: bool = False) -> None:
        self.jobs: list[str] = []
        self.chunks = 0
        self._loses = loses

    def run(
        self, name: str, order: bytes, pieces: Sequence[bytes], chunks: int, has_text: bool
    ) -> Iterator[tuple[int, bytes]]:
        self.jobs.append(name)
        self.chunks = chunks
        sent = [item for piece in pieces for item in _native.Scan.of_piece(order, piece)]
        if self._loses:
            sent.pop()
        return grouped(order, sorted(sent, key=lambda item: item[0]))

    def stop(self) -> None:
        raise AssertionError("no job is stopped")


class Engines(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "in").mkdir()
        turn = '{{"conversationId":"c{0}","userName":"ann","mode":"agent","turnIndex":{1},"userMessage":"u","modelMessage":"m"'
        turn += ',"promptTokens":1,"completionTokens":1,"llmCallCount":1,"Timestamp":"2025-01-02T00:00:00Z"}}\n'
        lines = [turn.format(number, index) for index in range(1, 6) for number in range(300)]
        for part in range(3):
            (self.folder / "in" / f"{part}.jsonl").write_text("".join(lines[part::3]))

    def export(self, name: str, on: Plain | None, progress: bool | None = False, **more: Any) -> gleaner_sft.ExportResult:
        return _commands.export(
            input=self.folder / "in",
            out=self.folder / name,
            work_dir=self.folder / f"{name}-work",
            config=KEYS,
            targets="all",
            progress=progress,
            _on=on,
            **more,
        )

    def test_the_dataset_is_that_of_one_machine(self) -> None:
        engine = Plain()
        made, alone = self.export("engine", engine), self.export("alone", None)
        self.assertEqual(engine.jobs, ["census", "round0"])
        self.assertEqual(made.content_sha256, alone.content_sha256)
        self.assertEqual(made.manifest["population"], alone.manifest["population"])
        self.assertEqual(made.manifest["population"]["conversations"], 300)
        self.assertEqual(made.manifest["source"]["engine"], "plain")

    def test_thousands_of_chunks_are_for_large_input_alone(self) -> None:
        engine = Plain()
        made = self.export("many", engine, chunks=100_000)
        self.assertLess(engine.chunks, 260)
        self.assertEqual(made.content_sha256, self.export("alone", None).content_sha256)

    def test_no_input_is_no_source_of_another_kind(self) -> None:
        with self.assertRaisesRegex(ValueError, "empty list"):
            gleaner_sft.export(input=[])
        with self.assertRaisesRegex(ValueError, "empty list"):
            gleaner_sft.plan(input=[])

    def test_what_is_lost_is_refused(self) -> None:
        with self.assertRaisesRegex(gleaner_sft.GleanerError, "exchange cannot be trusted"):
            self.export("lossy", Plain(loses=True))
        self.assertFalse((self.folder / "lossy" / "d" / "metadata.json").exists())

    def test_how_far_its_jobs_are_is_shown(self) -> None:
        for progress, expected in [(None, True), (False, False)]:
            shown, events = io.StringIO(), list[dict[str, Any]]()
            with contextlib.redirect_stderr(shown):
                made = self.export(f"shown-{expected}", Plain(), progress, on_event=events.append)
            line = "gleaner on plain: census: 3 of 3 pieces read, 1500 rows, 41 of 41 chunks grouped\n"
            self.assertEqual(line in shown.getvalue(), expected, shown.getvalue())
            jobs = [event for event in events if event["notice"] == "job" and event["name"] == "round0"]
            self.assertEqual([(job["pieces"], job["done"]) for job in jobs][:: len(jobs) - 1], [(0, False), (3, True)])
            self.assertTrue('"name":"census","pieces":3' in html.unescape(made._repr_html_()))

    def test_all_of_a_chunk_is_grouped_together(self) -> None:
        order = b"none"
        self.assertEqual(list(grouped(order, [(LEDGER, b"a"), (LEDGER, b"b")])), [(LEDGER, b"a"), (LEDGER, b"b")])
        with self.assertRaisesRegex(RuntimeError, "order of a job cannot be read"):
            list(grouped(order, [(0, b"")]))

    def test_an_engines_exception_says_its_cause_and_quotes_no_row(self) -> None:
        unsaid = "; its words may quote rows, so they are in the engine's log alone"
        cast = "[CAST_INVALID_INPUT] The value 'call me' of the type \"STRING\" cannot be cast to \"INT\"\nJVM stack"
        for text, expected in [
            ("A task failed\nTraceback\nRuntimeError: gleaner: cut off; hint: again\n", "gleaner: cut off; hint: again"),
            ("A worker failed:\nModuleNotFoundError: No module named 'gleaner_sft'\nJVM stack", "gleaner-sft is missing on an executor: install it on every one, in the version of the driver"),
            ("while calling o1.f.\n: org.apache.spark.SparkException: thrown in awaitResult\n\tat x\nCaused by: java.io.IOException: the disk is full\n", "java.io.IOException: the disk is full"),
            ("Traceback\nKeyError: 'call me'\n", "KeyError" + unsaid),
            (cast, "Exception [CAST_INVALID_INPUT]" + unsaid),
            ("only this", "Exception" + unsaid),
        ]:
            self.assertEqual(reason(Exception(text)), expected)

    def test_the_programs_help_is_shown_and_no_engine_begins(self) -> None:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            self.assertEqual(_commands.export_command(Plain(), "json", ["--help"]), 0)
        self.assertIn("--work-dir", shown.getvalue())
        engine, said = Plain(), io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(_commands.export_command(engine, "json", ["--inptu", "x"]), 2)
        self.assertIn("--inptu", said.getvalue())
        self.assertEqual(engine.jobs, [])

    def test_an_engine_that_is_not_installed_is_refused(self) -> None:
        with self.assertRaisesRegex(ModuleNotFoundError, r"pip install 'gleaner-sft\[no_such_engine\]'"):
            installed("no_such_engine")
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(_commands.export_command(Plain(), "no_such_engine", []), 2)
        self.assertIn("pip install", said.getvalue())


if __name__ == "__main__":
    unittest.main()
