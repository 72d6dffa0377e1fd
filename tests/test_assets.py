"""Compressed siblings and hashes of static files: the choices, without a request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from asyncflask import Blueprint, Flask
from asyncflask.assets import SUFFIXES, add_version, choose_coding, existing_codings, version_of

ALL = list(SUFFIXES)

CHOICES = [
    # What the client says, which siblings there are, what it gets.
    ("", ALL, None),
    ("gzip, deflate, br, zstd", ALL, "br"),
    ("gzip, deflate", ALL, "gzip"),
    ("gzip", ["br"], None),
    ("deflate", ALL, None),
    ("GZIP", ALL, "gzip"),
    ("x-gzip", ALL, "gzip"),
    ("x-gzip, gzip;q=0", ALL, None),
    ("gzip;q=1, br;q=0.5", ALL, "gzip"),
    ("gzip;q=0.1", ALL, "gzip"),
    ("gzip;q=0", ALL, None),
    ("br;q=0, *", ALL, "zstd"),
    ("*", ALL, "br"),
    ("*;q=0", ALL, None),
    ("*;q=0, gzip", ALL, "gzip"),
    ("identity", ALL, None),
    ("identity, gzip", ALL, "gzip"),
    ("identity, gzip;q=0.5", ALL, None),
    ("identity;q=0", ALL, None),
    ("identity;q=0, gzip;q=0.1", ALL, "gzip"),
    ("*;q=0.5, gzip;q=0.3", ["gzip"], None),
    ("*;q=0.5, gzip;q=0.3", ALL, "br"),
    ("gzip;q=nonsense, br;q=2", ALL, None),
    (";;;,,,q=1", ALL, None),
]


def accepted(header: str) -> Accept:
    return parse_accept_header(header, Accept)


@pytest.mark.parametrize(("header", "available", "chosen"), CHOICES)
def test_the_coding_is_what_the_client_wants_most(
    header: str, available: list[str], chosen: str | None
) -> None:
    """By weight, then the best compression; the file itself where nothing else is accepted."""
    assert choose_coding(accepted(header), available) == chosen


weights = st.sampled_from(["", ";q=0", ";q=0.0", ";q=0.3", ";q=0.7", ";q=1", "; q=0.5"])
codings = st.sampled_from([*ALL, "identity", "*", "deflate"])
headers = st.lists(st.tuples(codings, weights), unique_by=lambda pair: pair[0])


@given(headers, st.lists(st.sampled_from(ALL), unique=True))
def test_nothing_is_sent_that_was_refused(
    pairs: list[tuple[str, str]], available: list[str]
) -> None:
    """And nothing that is wanted less than another, for any header."""
    header = ",".join(coding + weight for coding, weight in pairs)
    weight_of = {coding: float(weight.partition("=")[2] or 1) for coding, weight in pairs}
    chosen = choose_coding(accepted(header), available)

    def wanted(coding: str) -> float:
        return weight_of.get(coding, weight_of.get("*", 0.0))

    if chosen is None:
        assert all(wanted(coding) <= wanted("identity") for coding in available)
    else:
        assert chosen in available
        assert wanted(chosen) > 0
        assert wanted(chosen) >= max(map(wanted, [*available, "identity"]))


@given(st.text(max_size=60))
def test_any_header_can_be_read(header: str) -> None:
    """Nonsense is no error."""
    assert choose_coding(accepted(header), ALL) in (None, *ALL)


def test_siblings_are_found(tmp_path: Path) -> None:
    """The preferred first. A sibling has none itself, and a folder is none."""
    file = tmp_path / "app.css"
    for suffix in ("", ".gz", ".br", ".gz.br"):
        Path(f"{file}{suffix}").touch()
    Path(f"{file}.zst").mkdir()
    assert existing_codings(str(file)) == ["br", "gzip"]
    assert existing_codings(f"{file}.gz") == []
    assert existing_codings(str(tmp_path / "missing")) == []


def test_a_sibling_that_is_older_than_the_file_is_none(tmp_path: Path) -> None:
    """The file has another content since; compressors give a sibling the file's own time."""
    file = tmp_path / "app.css"
    for suffix, seconds in [("", 1_000), (".br", 999), (".zst", 1_000), (".gz", 1_001)]:
        path = Path(f"{file}{suffix}")
        path.touch()
        os.utime(path, (seconds, seconds))
    assert existing_codings(str(file)) == ["zstd", "gzip"]


def test_a_version_stands_for_the_content(tmp_path: Path) -> None:
    """The same content has the same, whatever its name; it changes with the file."""
    for name in ("a.css", "b.css"):
        (tmp_path / name).write_text("body {}")
    folder = str(tmp_path)
    version = version_of(folder, "a.css")
    assert version == version_of(folder, "b.css")
    assert version is not None
    assert len(version) == 16
    (tmp_path / "a.css").write_text("body { color: red }")
    assert version_of(folder, "a.css") not in (None, version)


def test_a_file_is_read_once_for_each_of_its_states(tmp_path: Path) -> None:
    """Time and size tell them apart."""
    file = tmp_path / "a.css"
    file.write_text("one")
    os.utime(file, (1, 1))
    version = version_of(str(tmp_path), "a.css")
    file.write_text("two")
    os.utime(file, (1, 1))
    assert version_of(str(tmp_path), "a.css") == version
    os.utime(file, (2, 2))
    assert version_of(str(tmp_path), "a.css") != version


@pytest.mark.parametrize(
    "name", ["missing.css", "../secret", "/etc/passwd", "", "a\0b", "x" * 5000]
)
def test_what_is_no_file_has_no_version(tmp_path: Path, name: str) -> None:
    """Nor has anything outside of the folder."""
    folder = tmp_path / "static"
    folder.mkdir()
    (tmp_path / "secret").touch()
    assert version_of(str(folder), name) is None


def test_only_static_files_get_a_version(tmp_path: Path) -> None:
    """Of the application and of its blueprints, wherever these are nested."""
    (tmp_path / "a.css").touch()
    options = {"static_folder": str(tmp_path)}
    app = Flask(__name__, static_folder=str(tmp_path))
    outer, inner = Blueprint("outer", __name__), Blueprint("inner", __name__, **options)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    version = version_of(str(tmp_path), "a.css")

    def versioned(endpoint: str, **values: str) -> dict[str, str]:
        add_version(app, endpoint, values)
        return values

    assert versioned("static", filename="a.css") == {"filename": "a.css", "v": str(version)}
    assert versioned("outer.inner.static", filename="a.css")["v"] == version
    for endpoint, values in [
        ("outer.static", {"filename": "a.css"}),
        ("nowhere.static", {"filename": "a.css"}),
        ("static", {"filename": "missing.css"}),
        ("static", {}),
        ("static", {"filename": "a.css", "v": "own"}),
        ("ecstatic", {"filename": "a.css"}),
    ]:
        assert versioned(endpoint, **values) == values
