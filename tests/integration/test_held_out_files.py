"""A held-out file judges the constants and has no part in them.

One file of 400 tracks for 261 parameters: the fit describes its own tracks better than others.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from auto_iter.daemon.lifecycle import held_out_files, open_workspace
from auto_iter.ledger.branch import Branch, branch
from auto_iter.ledger.reproduce import reproduce
from auto_iter.millepede.results import read_solution
from auto_iter.workspace.manifest import read_manifest
from tests.support.here import AlignmentHere, SiteHere


def test_a_held_out_file_judges_and_has_no_part_in_the_constants(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    site = SiteHere.build(tmp_path / "site", events=400)
    both = AlignmentHere.begin(site, tmp_path / "both", "alignment.hold_out=0.5")
    alone = AlignmentHere.begin(site, tmp_path / "alone", files="400-401")
    for each in (both, alone):
        each.resume()
    assert both.constants() == alone.constants()
    solution = read_solution(both.iteration(2).solution)
    assert [name for name in solution.binaries if "00401" in name] == []
    assert both.iteration(2).mille_binary(401).exists()
    assert solution.prediction is not None
    assert sorted(solution.prediction.files) == [400, 401]  # constants have to arrive in both
    _judges(both)
    assert [record.hold_out for record in alone.snapshot.history] == [None, None]
    _is_known_later(both)
    _branches_hold_out_the_same(both, tmp_path)


def _branches_hold_out_the_same(both: AlignmentHere, place: Path) -> None:
    asked = Branch(at=1, place=place / "branch", iterations=1)
    made = AlignmentHere(both.site, branch(both.root, asked, 0.0).root)
    assert held_out_files(made.opened) == held_out_files(both.opened) == {401}
    made.resume()
    (judged,) = (record.hold_out for record in made.snapshot.history)
    assert judged == both.snapshot.history[1].hold_out
    other = replace(asked, place=place / "other", overrides=("alignment.hold_out=0",))
    assert held_out_files(open_workspace(branch(both.root, other, 0.0).root)) == frozenset()


def _judges(both: AlignmentHere) -> None:
    first, last = (record.hold_out for record in both.snapshot.history)
    assert first is not None
    assert last is not None
    assert last.files == 1
    assert last.chi2_ndf < first.chi2_ndf / 2
    assert last.qop_bias_error_per_tev is not None
    verdict = both.snapshot.verdict
    assert verdict is not None
    assert verdict.hold_out is not None
    assert (verdict.hold_out.before, verdict.hold_out.after) == (first, last)
    assert "; held-out tracks: chi2/ndf " in verdict.sentence
    fit = both.snapshot.history[-1].chi2_ndf_of_tracks
    assert verdict.hold_out.warning.startswith(
        f"over-fitting: chi2/ndf of held-out tracks is {last.chi2_ndf:.4g}, that of the fit's "
        f"{fit:.4g}"
    )
    assert verdict.hold_out.warning in verdict.sentence
    assert verdict.hold_out.warning in both.snapshot.history[-1].warnings


def _is_known_later(both: AlignmentHere) -> None:
    workspace = both.opened.workspace
    manifest = read_manifest(workspace, 2)
    assert (manifest.held_out, sorted(manifest.raw_files)) == ((401,), [400, 401])
    again = reproduce(workspace, 2, {})
    assert (again.is_identical, again.reasons) == (True, ())
