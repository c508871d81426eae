"""The Mille/pede chain's side of the daemon: what is taken as done, and what only has to wait."""

from __future__ import annotations

import errno
import json
import os
import select
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import uproot

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Config
from auto_iter.daemon.signals import never
from auto_iter.detector.labels import Scheme
from auto_iter.errors import TRANSIENT_EXIT_CODE, OutdatedError, TransientError
from auto_iter.iteration import worker
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.workspace.paths import Iteration, Workspace

RUN = 11705


def chain(
    root: Path, config: Config | None = None, held_out: frozenset[int] = frozenset()
) -> Chain:
    arguments = Arguments(year=2023, run=RUN, files="400-403", iterations=2)
    strategy = load_strategy("3st")
    workers = Workers(Workspace(root), os.environ)
    config = config or Config()
    return Chain(Workspace(root), arguments, strategy, config, workers, held_out=held_out)


def iteration(root: Path) -> Iteration:
    """Return the first iteration, with an output that is no ROOT file."""
    paths = Workspace(root).iteration(1, RUN)
    for directory in (paths.kfalignment, paths.mille):
        directory.mkdir(parents=True)
    paths.output(400).write_bytes(b"no ROOT file")
    return paths


def converted(paths: Iteration, **changes: object) -> None:
    """Leave the record of a conversion of file 400 with the default settings."""
    paths.mille_binary(400).write_bytes(b"records")
    status = paths.output(400).stat()
    cuts = Config().millepede.cuts.model_dump(mode="json") | {"max_residual_mm": 0.05}
    record = {
        "source": {"size": status.st_size, "mtime_ns": status.st_mtime_ns},
        "error": None,
        "cuts": cuts,
        "labels": asdict(load_strategy("3st").labels),
    }
    paths.mille_statistics(400).write_text(json.dumps(record | changes))


def test_a_conversion_is_known_by_its_record(tmp_path: Path) -> None:
    converted(iteration(tmp_path))
    found = chain(tmp_path).convert(Stage(1), [400])
    assert (found.converted, found.pending) == (frozenset({400}), 0)


@pytest.mark.parametrize("setting", ["millepede.cuts.max_chi2", "labels"])
def test_with_other_settings_a_file_is_converted_again(tmp_path: Path, setting: str) -> None:
    paths = iteration(tmp_path)
    if setting == "labels":
        converted(paths, labels=asdict(Scheme(layer_z=True)))
    else:
        cuts = Config().millepede.cuts.model_dump(mode="json")
        converted(paths, cuts=cuts | {"max_residual_mm": 0.05, "max_chi2": 1.0})
    again = chain(tmp_path)
    found = again.convert(Stage(1), [400])
    again.stop()
    assert (found.converted, found.pending) == (frozenset(), 1)


@pytest.mark.parametrize("is_held_out", [True, False])
def test_a_file_is_converted_again_when_it_goes_in_or_out_of_the_fit(
    tmp_path: Path, *, is_held_out: bool
) -> None:
    """Only the conversion of a held-out file tells what it is there to tell."""
    paths, out = iteration(tmp_path), frozenset([400] if is_held_out else [])
    converted(paths, judges=is_held_out)
    known = chain(tmp_path, held_out=out).convert(Stage(1), [400])
    assert (known.converted, known.pending) == (frozenset({400}), 0)
    converted(paths, judges=not is_held_out)
    again = chain(tmp_path, held_out=out)
    found = again.convert(Stage(1), [400])
    again.stop()
    assert (found.converted, found.pending) == (frozenset(), 1)
    with pytest.raises(OutdatedError, match="00400"):
        again.solve(Stage(1), [400])


def test_a_record_of_before_files_were_held_out_is_one_of_the_fit(tmp_path: Path) -> None:
    converted(iteration(tmp_path))
    again = chain(tmp_path, held_out=frozenset([400]))
    found = again.convert(Stage(1), [400])
    again.stop()
    assert (found.converted, found.pending) == (frozenset(), 1)


def test_a_solution_of_other_files_or_settings_is_made_again(tmp_path: Path) -> None:
    paths = iteration(tmp_path)
    converted(paths)
    solution = {
        "tracks": 1, "chi2_ndf": 1.0, "max_shift_um": 1.0, "max_rotation_mrad": 1.0,
        "max_pull": 1.0, "warnings": [], "fingerprint": "another",
    }  # fmt: skip
    paths.solution.write_text(json.dumps(solution))
    fingerprint = asked(chain(tmp_path), paths)["fingerprint"]
    paths.solution.write_text(json.dumps(solution | {"fingerprint": fingerprint}))
    known = chain(tmp_path).solve(Stage(1), [400])
    assert known is not None
    assert known.tracks == 1
    limits = Config.model_validate({"millepede": {"max_shift_mm": 1.0}})
    assert asked(chain(tmp_path, limits), paths)["fingerprint"] != fingerprint
    paths.reco.mkdir()
    paths.constants.write_text('"10": [0.1, 0, 0, 0, 0, 0]')
    assert asked(chain(tmp_path), paths)["fingerprint"] != fingerprint
    converted(paths, statistics={"records": 2})
    assert asked(chain(tmp_path), paths)["fingerprint"] != fingerprint


def asked(chain: Chain, paths: Iteration) -> dict[str, object]:
    """Return what a chain asks of its child, because it takes no solution for its own."""
    assert chain.solve(Stage(1), [400]) is None
    (request,) = paths.millepede.glob(".solve-*.json*")
    content: dict[str, object] = json.loads(request.read_text())
    chain.stop()
    return content


def test_a_disk_that_cannot_be_read_now_is_told_from_a_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = iteration(tmp_path)
    source = {
        "number": 400,
        "root": str(paths.output(400)),
        "binary": str(paths.mille_binary(400)),
        "statistics": str(paths.mille_statistics(400)),
    }
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"sources": [source]}))

    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patch:
        patch.setattr(uproot, "open", stale)
        assert worker.main(["convert", str(request)]) == TRANSIENT_EXIT_CODE
    assert "Stale file handle" in capsys.readouterr().err
    assert not paths.mille_statistics(400).exists()
    assert worker.main(["convert", str(request)]) == 0
    assert "not a ROOT file" in json.loads(paths.mille_statistics(400).read_text())["error"]


def test_what_passes_in_a_child_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iteration(tmp_path)
    waiting = chain(tmp_path)
    monkeypatch.setattr("sys.executable", str(_exits_with(tmp_path, TRANSIENT_EXIT_CODE)))
    waiting.convert(Stage(1), [400])
    (ended,) = waiting.watch()
    _wait_readable(ended)
    with pytest.raises(TransientError, match="disk is full"):
        waiting.convert(Stage(1), [400])


def test_a_report_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(program(tmp_path / "python", "exec sleep 600")))
    monkeypatch.setattr("auto_iter.iteration.chain.REPORT_LIMIT_S", 0.1)
    waiting = chain(tmp_path)
    waiting.report()
    begun = time.monotonic()
    waiting.finish(never)
    assert time.monotonic() - begun < 60


def test_who_waits_for_a_report_gives_signs_of_life_and_may_be_told_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(program(tmp_path / "python", "exec sleep 600")))
    monkeypatch.setattr("auto_iter.processes.children.LOOK_EVERY_S", 0.01)
    signs = 0

    def should_stop() -> bool:
        nonlocal signs
        signs += 1
        return signs > 5

    begun = time.monotonic()
    chain(tmp_path).finish(should_stop)
    assert signs == 6
    assert time.monotonic() - begun < 60


def _exits_with(directory: Path, code: int) -> Path:
    return program(directory / "python", f"echo disk is full >&2\nexit {code}")


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _wait_readable(descriptor: int) -> None:
    assert select.select([descriptor], [], [], 30)[0]
