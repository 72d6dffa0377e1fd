"""WSGI (PEP 3333), both ways.

``respond``      an application served by a WSGI server: ``app.wsgi_app``
``WSGIAdapter``  a WSGI application inside an ASGI one: ``app.mount("/legacy", WSGIAdapter(old))``
"""

from __future__ import annotations

from asyncflask.wsgi.adapter import WSGIAdapter as WSGIAdapter
from asyncflask.wsgi.responding import respond as respond
