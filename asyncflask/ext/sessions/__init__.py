"""Sessions that are kept on the server; the cookie holds an id and nothing else.

::

    app.session_interface = ServerSideSessionInterface(RedisStore("redis://localhost"))

``interface``  the session, and what opens and saves it
``stores``     what a store has to do, and one in memory
``redis``      a store in Redis
"""

from __future__ import annotations

from asyncflask.ext.sessions.interface import ServerSideSession as ServerSideSession
from asyncflask.ext.sessions.interface import (
    ServerSideSessionInterface as ServerSideSessionInterface,
)
from asyncflask.ext.sessions.redis import RedisStore as RedisStore
from asyncflask.ext.sessions.stores import MemoryStore as MemoryStore
from asyncflask.ext.sessions.stores import SessionStore as SessionStore
