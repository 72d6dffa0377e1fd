"""Configuration."""

from __future__ import annotations

from asyncflask.config import Config as Config
from asyncflask.config import ConfigAttribute as ConfigAttribute
