"""Types of parameters that click does not have."""

from __future__ import annotations

import importlib
import ssl
from typing import Any

import click
from werkzeug.utils import import_string


class CertParamType(click.ParamType[Any]):
    """A certificate: a file, or ``adhoc`` for one made at the start, or an ``ssl.SSLContext``.

    The last is named by its import path, such as ``shop.tls.context``.
    """

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | ssl.SSLContext:
        """Return the absolute path, ``"adhoc"``, or the imported context.

        :raises click.BadParameter: it is none of these, or ``adhoc`` lacks the package it needs.
        """
        if isinstance(value, ssl.SSLContext):
            return value
        file = click.Path(exists=True, dir_okay=False, resolve_path=True)
        try:
            return str(file.convert(value, param, ctx))
        except click.BadParameter:
            if str(value).lower() == "adhoc":
                return _adhoc(param, ctx)
            found = import_string(str(value), silent=True)
            if isinstance(found, ssl.SSLContext):
                return found
            raise


def _adhoc(param: click.Parameter | None, ctx: click.Context | None) -> str:
    try:
        importlib.import_module("cryptography")
    except ImportError:
        raise click.BadParameter(
            "'adhoc' needs cryptography. Install it with: pip install cryptography", ctx, param
        ) from None
    return "adhoc"


def join_key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Make the parameter ``cert`` a pair of paths: the callback of ``--key``.

    :raises click.BadParameter: there is no certificate for the key, or no key for the certificate.
    """
    cert = ctx.params.get("cert")
    is_file = isinstance(cert, str) and cert != "adhoc"
    if value is not None:
        if cert is None:
            raise click.BadParameter("It is the key of a certificate: give --cert too.", ctx, param)
        if not is_file:
            raise click.BadParameter("Only a certificate in a file has a key.", ctx, param)
        ctx.params["cert"] = cert, value
    elif is_file:
        if not _has_key(str(cert)):
            raise click.BadParameter(f"{cert} has no key in it: give --key too.", ctx, param)
        ctx.params["cert"] = cert, None
    return value


def _has_key(path: str) -> bool:
    with open(path, "rb") as file:
        return b"PRIVATE KEY" in file.read()


class SeparatedPathType(click.Path):
    """Several paths, with the path separator of the system between (``:``, on Windows ``;``)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the list of paths."""
        items = value if isinstance(value, list) else self.split_envvar_value(value)
        return [super(SeparatedPathType, self).convert(item, param, ctx) for item in items]
