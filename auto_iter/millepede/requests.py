"""What the Mille/pede chain is asked for: JSON from the daemon, which loads no numerics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from auto_iter.alignment.model import Stage
from auto_iter.config.cuts import TrackCuts
from auto_iter.config.schema import Config
from auto_iter.detector.labels import Scheme

Solver = Literal["auto", "builtin", "pede"]


class Message(BaseModel):
    """What processes tell each other: known fields only, and none changes."""

    # no limit is `.inf` in the configuration; as null it would not be read again
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Source(Message):
    """One ROOT file, and where its Mille binary and its statistics go.

    `judges`: it stays out of the fit, and its statistics tell what constants are judged by.
    """

    number: int
    root: Path
    binary: Path
    statistics: Path
    judges: bool = False


class ConvertRequest(Message):
    """Convert `sources`, one after the other.

    `prediction`: the solution whose constants the sources were reconstructed with; what they show
    of its change is noted beside the statistics.
    """

    sources: tuple[Source, ...]
    cuts: TrackCuts = Field(default_factory=TrackCuts)
    labels: Scheme = Scheme()
    prediction: Path | None = None


PLACES = frozenset(
    ("directory", "binaries", "statistics", "hold_out", "previous", "centre", "earlier", "strategy")
) | {"survey", "pede_install"}
"""What of a request to solve only says where things lie: a workspace may be moved."""


class SolveRequest(Message):
    """Solve one iteration in `directory` (3millepede); `binaries` in sorted order.

    `phase`: which of the strategy's, from 0; `within`: the iteration within it, from 1.
    `previous`: the constants that the tracks were made with; `centre`: those that the alignment
    began with, to which priors pull; None: the nominal geometry. `stations`: how many the tracks
    were reconstructed in; None: not known. `earlier`: the constants that the phase's iterations
    started from up to this one, to see whether they walk. `hold_out`: raw files that stay out of
    the fit. `survey`: measurements that go into the fit, where there are any.
    `least_hits`, `least_tracks`: what a parameter needs to be free; None: as the strategy's pede
    says. `weights`: by the name of a Mille binary, where its tracks count with another weight than
    1. `fingerprint` goes into the solution.
    """

    directory: Path
    binaries: tuple[Path, ...]
    statistics: tuple[Path, ...]
    weights: dict[str, float] = Field(default_factory=dict)
    hold_out: tuple[Source, ...] = ()
    previous: Path
    centre: Path | None = None
    earlier: tuple[Path, ...] = ()
    survey: Path | None = None
    strategy: str = "3st"
    iteration: int = 1
    phase: int = 0
    within: int = 1
    stations: int | None = None
    fingerprint: str = ""
    solver: Solver = "auto"
    pede_install: Path | None = None
    time_limit_s: float = 3600.0
    least_hits: int | None = None
    least_tracks: int = 10
    max_shift_mm: float = 5.0
    max_rotation_rad: float = 0.1
    accept_bad_matrix: bool = False
    eigen: bool = False

    @classmethod
    def of(
        cls,
        stage: Stage,
        config: Config,
        sources: Sequence[Source],
        weights: Mapping[int, float],
        **others: Any,
    ) -> SolveRequest:
        """Return the request for an iteration of converted `sources`; `others` go before `config`.

        `weights`: of raw files, where it is not 1.

        Raises ValidationError for fields that are missing or none.
        """
        asked: dict[str, Any] = {
            "binaries": [source.binary for source in sources],
            "statistics": [source.statistics for source in sources],
            "weights": {s.binary.name: weights[s.number] for s in sources if s.number in weights},
            **asdict(stage),
            # what the configuration calls as a request does
            **{name: value for name, value in config.millepede if name in cls.model_fields},
            "pede_install": config.paths.pede_install,
        }
        return cls.model_validate(asked | others)

    @property
    def settings(self) -> dict[str, Any]:
        """What the solution depends on, besides the content of files."""
        without = {*PLACES, "fingerprint"}
        # Where there are none, solutions of a version that knew none are still the same.
        return self.model_dump(
            mode="json", exclude=without if self.weights else {*without, "weights"}
        )
