"""Blueprints."""

from __future__ import annotations

from asyncflask.blueprints import Blueprint as Blueprint
from asyncflask.blueprints import BlueprintSetupState as BlueprintSetupState
