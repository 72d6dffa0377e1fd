"""The HTTP client library: ``httpx2`` where it is installed, else ``httpx``, which it continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx as httpx
else:
    try:
        import httpx2 as httpx
    except ModuleNotFoundError:
        try:
            import httpx as httpx
        except ModuleNotFoundError:
            raise ImportError(
                "The test clients need httpx2 (httpx serves too). Install it with: "
                "pip install httpx2"
            ) from None
