"""A notice board: the main example, served by ``make run``.

Pages, a JSON API and a live list over one small store. The pages are ``def`` views (they read
SQLite, which blocks), the API is ``async def``; both run in one application.

``store``  notes in SQLite, pictures in files, no framework
``live``   tells open pages about new notes
``pages``  what people see
``api``    what programs use
"""

from __future__ import annotations

from examples.board.app import create_app as create_app
