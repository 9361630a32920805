from collections.abc import Callable, Iterable, Iterator, Sequence

from ._engine import Engine

VERSION: str

def run(arguments: Sequence[str], config: str | None) -> tuple[str, int]: ...
def export(
    arguments: Sequence[str],
    config: str | None,
    on_event: Callable[[str], object] | None,
    on_status: Callable[[str], object] | None,
    engine: Engine | None = None,
) -> tuple[str, str, str, int]: ...

class Scan:
    @staticmethod
    def of_piece(order: bytes, piece: bytes) -> Scan: ...
    @staticmethod
    def of_table(order: bytes, number: int, path: str) -> Scan: ...
    def __iter__(self) -> Iterator[tuple[int, bytes]]: ...
    def __next__(self) -> tuple[int, bytes]: ...

def group(order: bytes, chunk: int, frames: Iterable[bytes]) -> list[bytes]: ...
