"""JSON that keeps the types of what a session holds."""

from __future__ import annotations

from asyncflask.json.tag import JSONTag as JSONTag
from asyncflask.json.tag import PassDict as PassDict
from asyncflask.json.tag import PassList as PassList
from asyncflask.json.tag import TagBytes as TagBytes
from asyncflask.json.tag import TagDateTime as TagDateTime
from asyncflask.json.tag import TagDict as TagDict
from asyncflask.json.tag import TaggedJSONSerializer as TaggedJSONSerializer
from asyncflask.json.tag import TagMarkup as TagMarkup
from asyncflask.json.tag import TagTuple as TagTuple
from asyncflask.json.tag import TagUUID as TagUUID
