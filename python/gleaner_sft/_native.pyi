from collections.abc import Callable, Sequence

VERSION: str

def run(arguments: Sequence[str], config: str | None) -> tuple[str, int]: ...
def export(
    arguments: Sequence[str],
    config: str | None,
    on_event: Callable[[str], object] | None,
    on_status: Callable[[str], object] | None,
) -> tuple[str, str, str, int]: ...
