"""`auto-iter survey`: its table is what a person finds who reads the tracks and adds up by hand.

Nothing here comes from the product: the Mille binary is unpacked, tracks are eliminated one by one,
prior and sums over modules are written down from docs/strategies.md, the covariance is an inverse.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.linalg

from auto_iter.cli.main import main
from auto_iter.daemon.lifecycle import change, open_workspace
from auto_iter.workspace.paths import Workspace

Floats = npt.NDArray[np.float64]
POSITIVE = {0, 2, 5, 7}
STEREO = 0.020
SHIFT_MM, ROTATION_RAD, FAR = 0.3, 0.003, 100.0


def records(path: Path) -> Iterator[tuple[list[float], list[int]]]:
    """Yield the numbers of each track, as Mille writes them: a length, floats, integers."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (words,) = struct.unpack_from("<i", content, at)
        half = words // 2
        floats = struct.unpack_from(f"<{half}f", content, at + 4)
        integers = struct.unpack_from(f"<{half}i", content, at + 4 + 4 * half)
        yield list(floats[1:]), list(integers[1:])
        at += 4 + 8 * half


def measurements(
    floats: list[float], integers: list[int]
) -> Iterator[tuple[dict[int, float], dict[int, float], float]]:
    """Yield local and global derivatives and σ of each: a 0 stands for value and for σ."""
    zeros = [place for place, integer in enumerate(integers) if integer == 0]
    ends = [*zeros[2::2], len(integers)]
    for first, second, end in zip(zeros[::2], zeros[1::2], ends, strict=True):
        local = {integers[k]: floats[k] for k in range(first + 1, second)}
        others = {integers[k]: floats[k] for k in range(second + 1, end)}
        yield local, others, floats[second]


def information(paths: list[Path], labels: list[int]) -> Floats:
    """Return what tracks say of labels, their own five parameters eliminated."""
    found = np.zeros((len(labels), len(labels)))
    for path in paths:
        for record in records(path):
            hits = list(measurements(*record))
            a = np.array([[local.get(k, 0.0) for k in range(1, 6)] for local, _, _ in hits])
            b = np.array([[other.get(label, 0.0) for label in labels] for _, other, _ in hits])
            w = np.diag([sigma**-2.0 for _, _, sigma in hits])
            cross = a.T @ w @ b
            found += b.T @ w @ b - cross.T @ np.linalg.solve(a.T @ w @ a, cross)
    return found


def parts(label: int) -> tuple[int, int, int, int, int]:
    """Return station, layer, module, side (−1: of a layer) and parameter of a label."""
    digits = [int(each) for each in str(label)]
    if len(digits) == 3:
        return digits[0], digits[1], -1, -1, digits[2]
    station, layer, module, side, parameter = digits
    return station, layer, module, side, parameter


def rows(labels: list[int]) -> tuple[list[tuple[Floats, float]], Floats]:
    """Return prior measurements (factors, σ), and the sums that are 0: x, y, rz of modules."""
    prior, sums = [], dict[tuple[int, int, str], Floats]()
    size, at = len(labels), {label: place for place, label in enumerate(labels)}
    for label in labels:
        station, layer, module, side, parameter = parts(label)
        if module < 0:
            prior.append((unit(size, at[label]), SHIFT_MM if parameter < 3 else ROTATION_RAD))
        elif parameter == 2:
            prior.append((unit(size, at[label]), ROTATION_RAD))
            add(sums, (station, layer, "rz"), unit(size, at[label]))
        else:
            sign = (1 if module in POSITIVE else -1) * (1 if side else -1)
            add(sums, (station, layer, "x"), unit(size, at[label]))
            add(sums, (station, layer, "y"), sign * unit(size, at[label]))
            other = at[label + (10 if side == 0 else -10)]
            if side == 0:
                x, y = unit(size, at[label]), unit(size, other)
                prior.append((0.5 * (x + y), SHIFT_MM))
                prior.append(((y - x) / (2 * STEREO), SHIFT_MM))
    return prior, np.array(list(sums.values()))


def unit(size: int, at: int) -> Floats:
    return np.asarray(np.eye(size)[at])


def add(sums: dict[tuple[int, int, str], Floats], name: tuple[int, int, str], row: Floats) -> None:
    sums[name] = sums.get(name, np.zeros(len(row))) + row


class Uncertainties:
    """The fit of an iteration, with what is known besides: by labels that were free."""

    def __init__(self, iteration: Path) -> None:
        told = json.loads((iteration / "3millepede/solution.json").read_text())
        assert told["gated"] == 0
        self.labels = [each["label"] for each in told["parameters"] if each["presigma"] >= 0]
        mille = iteration / "3millepede/mille"
        prior, sums = rows(self.labels)
        self.known = sum((np.outer(a, a) / sigma**2 for a, sigma in prior), self.nothing)
        self.open = scipy.linalg.null_space(sums)
        self.data = information([mille / name for name in told["binaries"]], self.labels)

    @property
    def nothing(self) -> Floats:
        return np.zeros((len(self.labels), len(self.labels)))

    def factors(self, terms: dict[int, float]) -> Floats:
        return np.array([terms.get(label, 0.0) for label in self.labels])

    def surveyed(self, survey: list[tuple[dict[int, float], float]]) -> Floats:
        """Return what tracks and a survey say."""
        told = [np.outer(self.factors(a), self.factors(a)) / sigma**2 for a, sigma in survey]
        return np.asarray(sum(told, self.data))

    def sigma(self, information: Floats, terms: dict[int, float]) -> float:
        """Return the uncertainty of a combination, with what else is known."""
        row = self.factors(terms) @ self.open
        return float(np.sqrt(row @ np.linalg.solve(self._within(information + self.known), row)))

    def weak(self, information: Floats) -> int:
        """Count the combinations that are known better without this information."""
        far = self.known + np.eye(len(self.labels)) / FAR**2
        ratios = scipy.linalg.eigvalsh(self._within(information), self._within(far))
        return int((ratios < 1).sum())

    def _within(self, information: Floats) -> Floats:
        return np.asarray(self.open.T @ information @ self.open)


def test_the_table_is_what_is_found_by_hand(
    one_iteration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    survey = [({312: 1.0}, 0.05), ({302: 1.0, 202: -0.5}, 0.02)]
    path = tmp_path / "survey.yaml"
    path.write_text('21.y: 7 ± 0.05\n"20.y - 0.5*10.y": 0.1 ± 0.02\n', encoding="utf-8")
    assert main(["survey", str(one_iteration), str(path)]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    by_hand = Uncertainties(one_iteration / "iter01")
    without, extended = by_hand.surveyed([]), by_hand.surveyed(survey)
    before, after = by_hand.weak(without), by_hand.weak(extended)
    assert f"weak modes: {before} combinations without, {after} with the survey" in said
    assert before - after == 2
    printed = re.findall(r"([\d.]+) µm +([\d.]+) µm  (?:21|20)\.y", said)
    expected = [
        [1e3 * by_hand.sigma(each, terms) for each in (without, extended)] for terms, _ in survey
    ]
    assert np.array(printed, dtype=float) == pytest.approx(np.array(expected), rel=0.006)
    # tracks hardly see it, and a measurement is not the only knowledge: better than 50 µm
    assert expected[0][1] < 50 < expected[0][0]


def test_a_survey_that_is_named_again_is_read_again(one_iteration: Path, tmp_path: Path) -> None:
    workspace = Workspace(Path(shutil.copytree(one_iteration, tmp_path / one_iteration.name)))
    survey = tmp_path / "survey.yaml"
    for text, words, in_use in (
        ("21.y: 0.1 ± 0.05\n", f"alignment.survey={survey}", "21.y: 0.1 ± 0.05\n"),
        ("21.y: 0.2 ± 0.05\n", "alignment.patience=4", "21.y: 0.1 ± 0.05\n"),
        ("21.y: 0.2 ± 0.05\n", f"alignment.survey={survey}", "21.y: 0.2 ± 0.05\n"),
    ):
        survey.write_text(text, encoding="utf-8")
        change(open_workspace(workspace.root), None, [words])
        assert workspace.survey.read_text(encoding="utf-8") == in_use
