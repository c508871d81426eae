"""The collaboration's set-up of March 2026 on a real pool: what a job needs travels with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.daemon.lifecycle import open_workspace
from tests.pool.alignments import FILES, Aligner, PoolDetector
from tests.pool.test_pool_alignment import both_ways
from tests.support.sites import Site, site_of_march_2026


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_of_march_2026(tmp_path / "site", files=FILES)


def detector_of(site: Site) -> PoolDetector:
    return PoolDetector(site.config, (), site.config.parent / "install")


@both_ways
def test_writer_and_reconstruction_travel_though_nobody_made_them_executable(
    spool: str, site: Site, on_the_pool: Aligner
) -> None:
    settings = (f"htcondor.spool={spool}", *site.settings)
    alignment = on_the_pool(*settings, of=detector_of(site), iterations=2)
    ran = alignment.run()
    assert open_workspace(alignment.workspace).snapshot.state == "done", ran.stdout + ran.stderr
    log = alignment.workspace / "iter02/1reco/logs/reco_00402.out"
    assert "global tag OFLCOND-FASER-05 leads to TRACKER-ALIGN-05" in log.read_text()


def test_tags_that_do_not_fit_are_told_with_both_settings(site: Site, on_the_pool: Aligner) -> None:
    wrong = (*site.settings, "reco.output_tag=TRACKER-ALIGN-04", "reco.max_attempts=1")
    alignment = on_the_pool(*wrong, of=detector_of(site), iterations=1)
    assert alignment.run().returncode == 1
    failure = open_workspace(alignment.workspace).snapshot.failure
    assert failure is not None
    assert "exit code 34" in failure.reason
    assert "reco.output_tag is TRACKER-ALIGN-04, but the reconstruction reads" in failure.reason
