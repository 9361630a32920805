"""From Python's values to the arguments of the command line."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, Union

StrPath: TypeAlias = Union[str, "os.PathLike[str]"]
"""A path, or an address."""

Config: TypeAlias = StrPath | Mapping[str, Any]
"""A configuration: the path of a file, or its keys as they stand in one."""


def text(value: object) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TypeError(
        f"{type(value).__name__} is no value of gleaner's: give a text, a number, a boolean, a path or a time"
    )


def options(**given: object) -> list[str]:
    """``--name=value`` for each that is given: ``None`` and ``False`` are not, ``True`` is a flag, of a list each is one.

    A trailing underscore is for names that are words of Python.
    """
    arguments = []
    for name, value in given.items():
        flag = "--" + name.rstrip("_").replace("_", "-")
        if value is True:
            arguments.append(flag)
        elif value is not None and value is not False:
            arguments.extend(f"{flag}={text(one)}" for one in several(value))
    return arguments


def inputs(value: object) -> object:
    """What is to be read, if it is said: a list has at least one."""
    if value is not None and not several(value):
        raise ValueError("input is an empty list: give files, folders or globs")
    return value


def several(value: object) -> list[object]:
    """A list as it is, anything else as a list of it."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return [value]


def overrides(given: Mapping[str, Any] | None, prefix: str = "") -> list[str]:
    """``--set=key=value`` for each key, also of mappings within mappings."""
    arguments = []
    for key, value in (given or {}).items():
        if isinstance(value, Mapping):
            arguments += overrides(value, f"{prefix}{key}.")
        else:
            arguments.append(f"--set={prefix}{key}={override(value)}")
    return arguments


def override(value: object) -> str:
    """A value of ``--set``, in which a list or a quoted text is TOML. JSON of these is."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return json.dumps([text(one) if isinstance(one, os.PathLike) else one for one in value], ensure_ascii=False)
    plain = text(value)
    return json.dumps(plain, ensure_ascii=False) if plain.startswith(("[", "{", '"')) else plain


def configuration(config: Config | None) -> tuple[list[str], str | None]:
    """``--config``, or the keys as JSON."""
    if isinstance(config, Mapping):
        return [], json.dumps(config, default=text, allow_nan=False)
    return options(config=config), None
