"""Configuration, side by side with Flask's."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask
import flask.config
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncflask.config import DEFAULT_CONFIG, Config, ConfigAttribute

ConfigClass = type[Config] | type[flask.Config]
both = pytest.mark.parametrize("config_class", [Config, flask.Config], ids=["ours", "flask"])

#: The defaults of ours that are not Flask's, as docs/differences.md tells.
CHANGED = {"SESSION_COOKIE_SECURE", "SESSION_COOKIE_SAMESITE", "MAX_CONTENT_LENGTH"}


class Settings:
    """An object to load; lower-case names are its own business."""

    COLOR = "red"
    DEBUG = True
    secret_helper = "not taken"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the surrounding environment are not seen."""
    for name in [name for name in os.environ if name.startswith("FLASK_")]:
        monkeypatch.delenv(name)


# The defaults


def test_every_key_of_flask_has_a_default() -> None:
    """Flask's keys are all there, with Flask's values but for the documented ones."""
    theirs = flask.Flask.default_config
    assert set(theirs) <= set(DEFAULT_CONFIG)
    assert {key for key in theirs if DEFAULT_CONFIG[key] != theirs[key]} == CHANGED


def test_our_defaults_cannot_be_changed_by_accident() -> None:
    """The defaults are shared by all applications, so they are immutable."""
    with pytest.raises(TypeError):
        DEFAULT_CONFIG["DEBUG"] = True


# ConfigAttribute


class App:
    """An object with attributes that live in its config."""

    def __init__(self) -> None:
        self.config = Config("", {"NAME": "shop", "LIFETIME": 60})

    name = ConfigAttribute[str]("NAME")
    lifetime = ConfigAttribute("LIFETIME", get_converter=lambda value: timedelta(seconds=value))


def test_an_attribute_reads_and_writes_the_config() -> None:
    """The attribute and the config key are one thing."""
    app = App()
    assert app.name == "shop"
    app.name = "store"
    assert app.config["NAME"] == "store"


def test_an_attribute_converts_when_it_is_read() -> None:
    """The config keeps what was set, the attribute gives it converted."""
    app = App()
    app.lifetime = 5
    assert app.config["LIFETIME"] == 5
    assert app.lifetime == timedelta(seconds=5)


def test_an_attribute_of_the_class_is_itself() -> None:
    """On the class there is no config to read."""
    assert isinstance(App.name, ConfigAttribute)


# from_object, from_mapping


@both
@pytest.mark.parametrize("source", [Settings, Settings()])
def test_from_object_takes_upper_case_names(config_class: ConfigClass, source: object) -> None:
    """Classes and instances are loaded alike; lower-case names are left."""
    config = config_class("")
    config.from_object(source)
    assert config == {"COLOR": "red", "DEBUG": True}


@both
def test_from_object_imports_by_name(config_class: ConfigClass) -> None:
    """A string names an object to import."""
    config = config_class("")
    config.from_object("tomllib")
    assert config == {}
    with pytest.raises(ImportError):
        config.from_object("no_such_module_of_settings")


@both
def test_from_mapping_takes_upper_case_keys(config_class: ConfigClass) -> None:
    """A mapping and keywords are merged, the keywords win."""
    config = config_class("")
    assert config.from_mapping({"A": 1, "b": 2, "C": 3}, C=4, d=5) is True
    assert config == {"A": 1, "C": 4}
    assert config.from_mapping(E=6)
    assert config["E"] == 6


# Files


@both
def test_from_pyfile_runs_a_python_file(config_class: ConfigClass, tmp_path: Path) -> None:
    """The file is found relative to the root path and may compute its values."""
    (tmp_path / "settings.py").write_text("base = 2\nSIZE = base * 21\nFILE = __file__\n")
    config = config_class(tmp_path)
    assert config.from_pyfile("settings.py") is True
    assert config == {"SIZE": 42, "FILE": str(tmp_path / "settings.py")}


@both
def test_a_file_may_declare_its_encoding(config_class: ConfigClass, tmp_path: Path) -> None:
    """A Python file is read as Python reads it."""
    (tmp_path / "old.py").write_bytes("# coding: latin-1\nNAME = 'Zoë'\n".encode("latin-1"))
    config = config_class(tmp_path)
    config.from_pyfile("old.py")
    assert config["NAME"] == "Zoë"


LOADERS: dict[str, Callable[[Any, bool], bool]] = {
    "from_pyfile": lambda config, silent: config.from_pyfile("absent", silent=silent),
    "from_file": lambda config, silent: config.from_file("absent", json.load, silent=silent),
}


@both
@pytest.mark.parametrize("loader", LOADERS)
def test_a_missing_file_is_told(config_class: ConfigClass, loader: str, tmp_path: Path) -> None:
    """A file that is not there is an error with the file's name, or False when silent."""
    config = config_class(tmp_path)
    with pytest.raises(OSError, match="Unable to load configuration file") as caught:
        LOADERS[loader](config, False)
    assert caught.value.filename == str(tmp_path / "absent")
    assert LOADERS[loader](config, True) is False
    assert config == {}


@both
@pytest.mark.parametrize("loader", LOADERS)
def test_a_directory_counts_as_missing(
    config_class: ConfigClass, loader: str, tmp_path: Path
) -> None:
    """A directory of the file's name passes silently as well."""
    (tmp_path / "absent").mkdir()
    assert LOADERS[loader](config_class(tmp_path), True) is False


def test_silent_hides_only_missing_files(tmp_path: Path) -> None:
    """Errors raised by the code of a config file are never silent."""
    (tmp_path / "settings.py").write_text("open('nowhere')\n")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Config(tmp_path).from_pyfile("settings.py", silent=True)


@both
def test_from_file_loads_any_format(config_class: ConfigClass, tmp_path: Path) -> None:
    """The loader gets the file open as text or as bytes; lower-case keys are left."""
    (tmp_path / "a.json").write_text('{"SIZE": 1, "note": "left"}')
    (tmp_path / "b.toml").write_text('COLOR = "blue"')
    config = config_class(tmp_path)
    assert config.from_file("a.json", load=json.load) is True
    assert config.from_file("b.toml", load=tomllib.load, text=False) is True
    assert config == {"SIZE": 1, "COLOR": "blue"}


@both
def test_from_envvar_loads_the_file_that_a_variable_names(
    config_class: ConfigClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable holds the path of a Python file."""
    (tmp_path / "settings.py").write_text("SIZE = 3\n")
    monkeypatch.setenv("SHOP_SETTINGS", str(tmp_path / "settings.py"))
    config = config_class("")
    assert config.from_envvar("SHOP_SETTINGS") is True
    assert config["SIZE"] == 3


@both
def test_from_envvar_tells_about_a_missing_variable(
    config_class: ConfigClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set is an error, or False when silent."""
    monkeypatch.delenv("SHOP_SETTINGS", raising=False)
    config = config_class("")
    with pytest.raises(RuntimeError, match="'SHOP_SETTINGS' is not set"):
        config.from_envvar("SHOP_SETTINGS")
    assert config.from_envvar("SHOP_SETTINGS", silent=True) is False


# The environment


@both
def test_from_prefixed_env_reads_values_as_json(
    config_class: ConfigClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not JSON stays text; other prefixes are not seen."""
    for name, value in {
        "FLASK_NUMBER": "1",
        "FLASK_FLAG": "true",
        "FLASK_LIST": '["a", 1]',
        "FLASK_WORD": "hello",
        "NOT_FLASK_WORD": "no",
    }.items():
        monkeypatch.setenv(name, value)
    config = config_class("")
    assert config.from_prefixed_env() is True
    assert config == {"NUMBER": 1, "FLAG": True, "LIST": ["a", 1], "WORD": "hello"}


@both
def test_from_prefixed_env_reaches_into_dictionaries(
    config_class: ConfigClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Double underscores go down, making dictionaries on the way."""
    monkeypatch.setenv("SHOP_DB__POOL__SIZE", "5")
    monkeypatch.setenv("SHOP_DB__host", "localhost")
    monkeypatch.setenv("SHOP_EXISTS__new", "1")
    config = config_class("", {"EXISTS": {"old": 0}})
    config.from_prefixed_env("SHOP", loads=lambda text: json.loads(text))
    assert config == {
        "DB": {"POOL": {"SIZE": 5}, "host": "localhost"},
        "EXISTS": {"old": 0, "new": 1},
    }


def test_from_prefixed_env_tells_about_a_value_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable cannot set something inside a number."""
    monkeypatch.setenv("FLASK_DB__HOST", "localhost")
    with pytest.raises(ValueError, match=r"'FLASK_DB__HOST' .* inside 'DB', .* not a dictionary"):
        Config("", {"DB": 3}).from_prefixed_env()


# get_namespace, repr


@given(
    keys=st.sets(st.sampled_from(["MAIL_HOST", "MAIL_PORT", "MAIL_", "MAILBOX", "DEBUG", ""])),
    namespace=st.sampled_from(["MAIL_", "MAIL", "", "X_"]),
    lowercase=st.booleans(),
    trim=st.booleans(),
)
def test_get_namespace_agrees_with_flask(
    keys: set[str], namespace: str, lowercase: bool, trim: bool
) -> None:
    """The keys of a namespace come trimmed and in lower case, as asked."""
    values = dict.fromkeys(sorted(keys), 1)
    ours = Config("", values).get_namespace(namespace, lowercase, trim)
    assert ours == flask.Config("", values).get_namespace(namespace, lowercase, trim)


@both
def test_the_repr_shows_the_content(config_class: ConfigClass) -> None:
    """A config prints as a dictionary with its class."""
    assert repr(config_class("", {"A": 1})) == "<Config {'A': 1}>"
