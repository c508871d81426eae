"""All of a simulation for one directory: raw files, truth, stand-in Calypso, configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from auto_iter.detector.geometry import build_detector
from auto_iter.detector.stations import MODES
from auto_iter.errors import InputError, UsageError
from auto_iter.files import write_atomically
from auto_iter.rawfiles import raw_path
from auto_iter.simulation.generation import Beam, generate
from auto_iter.simulation.install import write_install
from auto_iter.simulation.misalignment import Drawn, Sizes, draw_constants
from auto_iter.simulation.moves import Moves, moved, noted
from auto_iter.simulation.rawfile import write_raw

_TRUTH_HEAD = """\
# The constants of this simulated detector: what a perfect alignment would find, up to combinations
# that the data cannot fix. Keys and units as in inputforalign.txt: station, layer, module digits;
# [x, y, z, rx, ry, rz] in mm and rad. `moved`: files of which it is elsewhere, by so much.
"""
_CONFIG = """\
# A simulated detector, written by `auto-iter simulate`; use it with `auto-iter run --config`.
paths:
  raw_dir: {raw_dir}
  calypso_install: {install}
  env_script: {env_script}
reco:
  reader: ReadAlignmentConfig.py
  memory_mb: 1000
  disk_mb: 500
dag:
  memory_mb: 800
  disk_mb: 500
batch:
  system: local
alignment:
  default_iterations: 10
  polling_interval_seconds: 2
millepede:
  cuts:
    # FASER's cut of 0.05 mm is for a detector that is nearly aligned. At first, hits are as far
    # from their tracks as sensors from their nominal places: misalignments of 0.1 mm and 1 mrad
    # (over 60 mm) add up to some 0.5 mm, and a narrow cut would keep just the tracks that happen
    # to fit the wrong geometry. One value for each iteration of a phase; the last one holds
    # from then on.
    max_residual_mm: [1.0, 0.3, 0.1, 0.05]
simulation:
  truth: {truth}
"""


FIRST_RUN = 11705


@dataclass(frozen=True)
class Options:
    """What to simulate. `seed`, run and a raw file's number decide everything in the file.

    `moves`: how far the detector is from its truth while these files are taken, by constant.
    """

    year: int = 2023
    run: int = FIRST_RUN
    files: Sequence[int] = (400, 401, 402, 403)
    seed: int = 1
    beam: Beam = field(default_factory=Beam)
    sizes: Sizes = field(default_factory=Sizes)
    moves: Moves = field(default_factory=dict)


@dataclass(frozen=True)
class Simulated:
    """What was written, and where."""

    raw_dir: Path
    raw_files: tuple[Path, ...]
    truth: Path
    install: Path
    config: Path
    constants: Drawn


def simulate(
    directory: Path, options: Options, step: Callable[[], None] = lambda: None
) -> Simulated:
    """Write a simulation into `directory`, made when missing; more files may be added later.

    `step` is called after each raw file. Raises UsageError when the directory holds a simulation of
    another detector.
    """
    _check(options)
    directory = directory.absolute()
    if not directory.parent.is_dir():
        raise InputError(f"{directory.parent}: no such directory", "mistyped? else make it first")
    simulated = _layout(directory, options)
    elsewhere = moved(simulated.constants, options.moves)
    described = {
        "seed": options.seed,
        "beam": asdict(options.beam),
        "sizes": asdict(options.sizes),
    }
    before = _before(simulated.truth, described)
    for path in simulated.raw_files:
        path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"simulation": described, "constants": simulated.constants}
    if moves := noted(before.get("moved", []), options.run, options.files, options.moves):
        content["moved"] = moves
    truth = yaml.safe_dump(content, default_flow_style=None)
    write_atomically(simulated.truth, _TRUTH_HEAD + truth)
    _write_raw_files(simulated, elsewhere, options, step)
    write_install(simulated.install)
    write_atomically(simulated.config, _config_text(simulated))
    return simulated


def _check(options: Options) -> None:
    beam = options.beam
    if beam.stations not in MODES:
        raise UsageError(f"{beam.stations} stations: a tracker has 3 or 4")
    if beam.events < 1:
        raise UsageError(f"{beam.events} events in a file: at least one is needed")
    if not 0 <= beam.inefficiency < 1:
        raise UsageError(f"inefficiency {beam.inefficiency}: must be at least 0 and below 1")
    if options.seed < 0 or beam.noise_hits < 0 or min(asdict(options.sizes).values()) < 0:
        raise UsageError("seed, noise and misalignments cannot be negative")


def _layout(directory: Path, options: Options) -> Simulated:
    raw_dir = directory / "raw"
    return Simulated(
        raw_dir,
        tuple(raw_path(raw_dir, options.year, options.run, n) for n in options.files),
        directory / "truth.yaml",
        directory / "install",
        directory / "config.yaml",
        draw_constants(
            np.random.default_rng([options.seed, 0]), options.beam.stations, options.sizes
        ),
    )


def _before(truth: Path, described: dict[str, Any]) -> dict[str, Any]:
    """Return what is simulated there already. Raises UsageError where that is something else."""
    if not truth.exists():
        return {}
    try:
        before = dict(yaml.safe_load(truth.read_text()))
    except (yaml.YAMLError, TypeError, ValueError, UnicodeDecodeError):
        before = {}
    if before.get("simulation") != described:
        raise UsageError(
            f"{truth.parent} holds another simulation (other seed or options): choose another "
            f"directory, or remove it first"
        )
    return before


def _write_raw_files(
    simulated: Simulated, constants: Drawn, options: Options, step: Callable[[], None]
) -> None:
    detector = build_detector(constants)
    for number, path in zip(options.files, simulated.raw_files, strict=True):
        # A 0 at the end changes nothing: this run's files are what they were without others.
        random = np.random.default_rng([options.seed, 1, number, options.run ^ FIRST_RUN])
        write_raw(path, generate(random, detector, options.beam, options.run, number))
        step()


def _config_text(simulated: Simulated) -> str:
    return _CONFIG.format(
        raw_dir=_quoted(simulated.raw_dir),
        install=_quoted(simulated.install),
        env_script=_quoted(simulated.config.parent / "reco_condor_env.sh"),
        truth=_quoted(simulated.truth),
    )


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
