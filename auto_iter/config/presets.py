"""How the constants reach the reconstruction: programs, files and tags that have to fit together.

The numbers in them do not move together (a writer named 04 may write a sqlite file named 05), and
where two do not fit, jobs run well and the constants are ignored. So each is a setting, and what
fits together at a time is a preset in `conf/presets`.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError, field_validator

from auto_iter.config.schema import Reco
from auto_iter.config.section import Section
from auto_iter.config.shipped import is_file, shipped_text
from auto_iter.config.yamlfile import read_edited
from auto_iter.errors import InputError, UsageError
from auto_iter.files import expanded
from auto_iter.wording import first_problem


class TagChain(Section):
    """From the writer of the alignment database to the tag that the reconstruction asks for."""

    writer: str
    """Writes constants into a new sqlite file: a name on PATH, or a path: then it travels."""
    sqlite_schema: str
    """The sqlite file that the writer makes."""
    dbname: str
    """The database in it, and in ALLP200.db."""
    pool_file: str
    """The pool file that the writer makes."""
    output_tag: str
    """The tag of /Tracker/Align in ALLP200.db under which the constants are put."""
    global_tag: str | None = None
    """What the reconstruction is told to read (`--cond`); None: it chooses by the run's number."""
    geometry: str | None = None
    """The same for the geometry (`--geom`)."""
    direction_flag: str
    """Which tracks the reconstruction leaves out: alignment takes one kind only."""

    @field_validator("writer")
    @classmethod
    def _at_home(cls, writer: str) -> str:
        return str(expanded(writer)) if writer.startswith("~") else writer

    def __str__(self) -> str:
        """Return the chain in one line."""
        asked = self.global_tag or "the reconstruction's own global tag"
        return (
            f"{Path(self.writer).name} → {self.sqlite_schema} ({self.dbname}), {self.pool_file} → "
            f"{self.output_tag} ← {asked}"
        )


def tag_chain(reco: Reco) -> TagChain:
    """Return the chain of `reco.preset`, with what `reco` sets by itself. Raises UsageError."""
    own = {name: getattr(reco, name) for name in TagChain.model_fields}
    given = {name: value for name, value in own.items() if value}
    return _preset(reco.preset).model_copy(update=given)


def _preset(name: str) -> TagChain:
    try:
        is_own = is_file(name)
        text = read_edited(name, "file") if is_own else shipped_text("presets", name, "preset")
        return TagChain.model_validate(yaml.safe_load(text) or {})
    except (LookupError, InputError) as error:
        raise UsageError(f"reco.preset: {error}") from None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "not YAML"
        raise UsageError(f"preset {name}: {problem}") from None
    except ValidationError as error:
        raise UsageError(f"preset {name}: {first_problem(error)}") from None
