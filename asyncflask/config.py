"""Configuration: a dictionary with ways to fill it, and the defaults of every application."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from types import ModuleType
from typing import IO, Any, Generic, Protocol, Self, TypeVar, overload

from werkzeug.datastructures import ImmutableDict
from werkzeug.utils import import_string

T = TypeVar("T")

#: What ``app.config`` starts with. The keys of the first groups are Flask's; the comments name the
#: defaults that differ. The groups after them are our own. ``docs/configuration.md`` explains each.
DEFAULT_CONFIG: ImmutableDict[str, Any] = ImmutableDict(
    {
        # The mode. None: decided by the runner (DEBUG), or on in debug mode and tests.
        "DEBUG": None,
        "TESTING": False,
        "PROPAGATE_EXCEPTIONS": None,
        "TRAP_BAD_REQUEST_ERRORS": None,
        "TRAP_HTTP_EXCEPTIONS": False,
        # Keys that sign the session.
        "SECRET_KEY": None,
        "SECRET_KEY_FALLBACKS": None,
        # The session cookie. Flask: SECURE False (None: on https), SAMESITE None.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
        "SESSION_COOKIE_NAME": "session",
        "SESSION_COOKIE_DOMAIN": None,
        "SESSION_COOKIE_PATH": None,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SECURE": None,
        "SESSION_COOKIE_PARTITIONED": False,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": True,
        "MAX_COOKIE_SIZE": 4093,
        # URLs and hosts.
        "TRUSTED_HOSTS": None,
        "SERVER_NAME": None,
        "APPLICATION_ROOT": "/",
        "PREFERRED_URL_SCHEME": "http",
        "PROVIDE_AUTOMATIC_OPTIONS": True,
        # Files and templates.
        "USE_X_SENDFILE": False,
        "SEND_FILE_MAX_AGE_DEFAULT": None,
        # Ours: siblings such as app.css.br, and URLs with a hash that browsers keep for ever.
        "STATIC_PRECOMPRESSED": False,
        "STATIC_HASHED_URLS": False,
        "EXPLAIN_TEMPLATE_LOADING": False,
        "TEMPLATES_AUTO_RELOAD": None,
        # Ours: templates that block (a query while they are rendered) leave the event loop.
        "TEMPLATES_IN_WORKER": False,
        # Bodies, in bytes and in numbers of parts. Flask: MAX_CONTENT_LENGTH None.
        "MAX_CONTENT_LENGTH": 16 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 500_000,
        "MAX_FORM_PARTS": 1_000,
        # Ours: WebSockets. Origins such as "https://example.com" may open them besides the own
        # one, "*" stands for all. The client has gone: so many seconds later a view that reads, and
        # has not come back to it, is cancelled. A message of a client may have so many bytes.
        "WEBSOCKET_ALLOWED_ORIGINS": (),
        "WEBSOCKET_CLOSE_TIMEOUT": 10,
        "WEBSOCKET_MAX_MESSAGE_SIZE": 1024 * 1024,
        # Ours: finer limits on bodies. FORM_SPOOL_SIZE is what one file may take in memory before
        # it moves to disk; MAX_JSON_LENGTH None: MAX_CONTENT_LENGTH counts for JSON too.
        "MAX_JSON_LENGTH": None,
        "MAX_FORM_FILES": 100,
        "MAX_FORM_PART_HEADERS": 16,
        "MAX_FORM_PART_HEADER_SIZE": 8192,
        "FORM_SPOOL_SIZE": 1024 * 1024,
        # Ours: errors as application/problem+json (RFC 9457) for clients that prefer JSON.
        "PROBLEM_DETAILS": True,
        # Ours: X-Content-Type-Options, so that browsers do not guess content types.
        "CONTENT_TYPE_NOSNIFF": True,
        # Ours: time in seconds and worker threads. BODY_TIMEOUT is the wait for the next piece of
        # a body, RESPONSE_TIMEOUT the time to send a response; None never gives up.
        # BACKGROUND_TASK_SHUTDOWN_TIMEOUT None: SHUTDOWN_TIMEOUT counts for background tasks too.
        "BODY_TIMEOUT": 30,
        "RESPONSE_TIMEOUT": None,
        "SHUTDOWN_TIMEOUT": 30,
        "BACKGROUND_TASK_SHUTDOWN_TIMEOUT": None,
        "WORKER_THREADS": 40,
        "STREAM_THREADS": 40,
        "WORKER_QUEUE_SIZE": 1_000,
        "WORKER_QUEUE_TIMEOUT": 30,
    }
)


class _Configured(Protocol):
    @property
    def config(self) -> Config: ...


class ConfigAttribute(Generic[T]):
    """An attribute of the application that lives in its config, such as ``app.secret_key``.

    :param name: the config key.
    :param get_converter: applied to the value when the attribute is read.
    """

    def __init__(self, name: str, get_converter: Callable[[Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @overload
    def __get__(self, obj: None, owner: type | None) -> Self: ...

    @overload
    def __get__(self, obj: _Configured, owner: type | None) -> T: ...

    def __get__(self, obj: _Configured | None, owner: type | None = None) -> T | Self:
        if obj is None:
            return self
        value: T = obj.config[self.__name__]
        return value if self.get_converter is None else self.get_converter(value)

    def __set__(self, obj: _Configured, value: Any) -> None:
        obj.config[self.__name__] = value


class Config(dict[str, Any]):
    """A dictionary that can be filled from files, objects and the environment, as in Flask.

    Only upper-case keys are taken from anywhere, so a config file may have helpers of its own in
    lower case.

    :param root_path: file names are relative to this directory.
    :param defaults: the first content.
    """

    def __init__(
        self, root_path: str | os.PathLike[str], defaults: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Load the Python file whose name stands in an environment variable.

        :param variable_name: the environment variable.
        :param silent: return False where the variable or its file is missing.
        :returns: whether a file was loaded.
        :raises RuntimeError: the variable is not set.
        :raises OSError: its file cannot be read.
        """
        filename = os.environ.get(variable_name)
        if filename:
            return self.from_pyfile(filename, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set, so no configuration was "
            "loaded. Set it to the path of a configuration file."
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: Callable[[str], Any] = json.loads
    ) -> bool:
        """Load the environment variables that start with ``prefix`` and an underscore.

        ``FLASK_SECRET_KEY=x`` sets ``SECRET_KEY``. Double underscores reach into dictionaries:
        ``FLASK_DATABASE__POOL__SIZE=5`` sets ``config["DATABASE"]["POOL"]["SIZE"]`` to 5. Variables
        are taken in sorted order.

        :param prefix: without the underscore.
        :param loads: makes a value of each text; where it fails, the text itself is the value.
        :returns: True.
        :raises ValueError: a double underscore reaches into something that is not a dictionary.
        """
        start = f"{prefix}_"
        for variable in sorted(os.environ):
            if not variable.startswith(start):
                continue
            value: Any = os.environ[variable]
            with suppress(Exception):
                value = loads(value)
            *parents, key = variable.removeprefix(start).split("__")
            target: Any = self
            for parent in parents:
                target = target.setdefault(parent, {})
                if not isinstance(target, dict):
                    raise ValueError(
                        f"The environment variable {variable!r} sets a value inside {parent!r}, "
                        f"which is not a dictionary but {target!r}."
                    )
            target[key] = value
        return True

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and take its upper-case names.

        :param filename: relative to ``root_path``.
        :param silent: return False where there is no such file.
        :returns: whether the file was loaded.
        :raises OSError: the file cannot be read.
        """
        path = os.path.join(self.root_path, filename)
        module = ModuleType("config")
        module.__file__ = path
        try:
            with open(path, "rb") as file:
                source = file.read()
        except OSError as error:
            return _missing(error, silent)
        exec(compile(source, path, "exec"), module.__dict__)
        self.from_object(module)
        return True

    def from_object(self, obj: object | str) -> None:
        """Take the upper-case attributes of an object, usually a module or a class.

        :param obj: the object, or its import name (``"package.module:Class"``).
        :raises ImportError: there is nothing by that import name.
        """
        if isinstance(obj, str):
            obj = import_string(obj)
        for key in dir(obj):
            if key.isupper():
                self[key] = getattr(obj, key)

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: Callable[[IO[Any]], Mapping[str, Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Load a file in any format.

        ``config.from_file("config.toml", load=tomllib.load, text=False)``

        :param filename: relative to ``root_path``.
        :param load: takes the open file and returns a mapping.
        :param silent: return False where there is no such file.
        :param text: open the file as text, else as bytes.
        :returns: whether the file was loaded.
        :raises OSError: the file cannot be read.
        """
        try:
            with open(os.path.join(self.root_path, filename), "r" if text else "rb") as file:
                content = load(file)
        except OSError as error:
            return _missing(error, silent)
        return self.from_mapping(content)

    def from_mapping(
        self, mapping: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **kwargs: Any
    ) -> bool:
        """Take the upper-case keys of a mapping, or of pairs, and of the keyword arguments.

        :returns: True.
        """
        for key, value in {**dict(mapping or ()), **kwargs}.items():
            if key.isupper():
                self[key] = value
        return True

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, Any]:
        """Return the keys that start with ``namespace``, to be passed on as arguments.

        With ``MAIL_HOST`` and ``MAIL_PORT`` set, ``get_namespace("MAIL_")`` gives
        ``{"host": ..., "port": ...}``.

        :param namespace: the start of the keys, with its underscore.
        :param lowercase: give the keys in lower case.
        :param trim_namespace: give the keys without the namespace.
        """
        found = {}
        for key, value in self.items():
            if key.startswith(namespace):
                name = key.removeprefix(namespace) if trim_namespace else key
                found[name.lower() if lowercase else name] = value
        return found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {dict.__repr__(self)}>"


def _missing(error: OSError, silent: bool) -> bool:
    """Return False for a missing file that may be missing; else raise ``error``, explained."""
    if silent and error.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR):
        return False
    error.strerror = f"Unable to load configuration file ({error.strerror})"
    raise error
