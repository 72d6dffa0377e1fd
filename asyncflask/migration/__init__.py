"""What moving a Flask project here takes: read from its files, of which none is run.

``extensions`` is the table of Flask's extensions and their states, ``rules`` the tables of names,
``names`` finds out which name an expression stands for, ``blocking`` what blocks, ``source`` reads
a module, ``project`` the files of a project, ``report`` is what comes out, ``text`` shows it.
"""

from __future__ import annotations

from asyncflask.migration.project import examine as examine
from asyncflask.migration.report import Finding as Finding
from asyncflask.migration.report import Kind as Kind
from asyncflask.migration.report import Report as Report
from asyncflask.migration.report import View as View
from asyncflask.migration.text import as_text as as_text
