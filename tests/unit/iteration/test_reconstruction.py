from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.alignment.model import Problem, Stage, Trouble
from auto_iter.config.schema import Config
from auto_iter.errors import InputError, PhysicsError, UsageError
from auto_iter.iteration.reconstruction import WorkspaceReconstruction
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.rawfiles import RawRange, raw_path
from auto_iter.workspace import crowded
from auto_iter.workspace.paths import Workspace

CONSTANTS = '"10": [0.1, 0, 0, 0, 0, 0],"110": [0, 1e-3, 0, 0, 0, 0]'


class RecoSite:
    """A raw directory, a Calypso installation and a workspace."""

    def __init__(self, root: Path) -> None:
        self.install, self.env_script = root / "calypso", root / "reco_condor_env.sh"
        self.install.mkdir()
        (self.install / "setup.sh").touch()
        (self.install / "asetup.faser").touch()
        self.raw_dir = root / "raw"
        for number in (400, 401, 402):
            raw = raw_path(self.raw_dir, 2023, 11705, number)
            raw.parent.mkdir(parents=True, exist_ok=True)
            raw.write_text("raw")
        self.workspace = Workspace(root / "Y2023_R011705_F400-403")
        self.workspace.root.mkdir()
        self.settings: dict[str, object] = {"calypso_install": self.install}
        self.sections: dict[str, dict[str, object]] = {"batch": {"system": "local"}}

    def reconstruction(
        self, excluded: frozenset[int] = frozenset(), initial: Path | None = None
    ) -> WorkspaceReconstruction:
        paths = {"raw_dir": self.raw_dir, "env_script": self.env_script} | self.settings
        config = Config.model_validate(
            {"paths": paths, "alignment": {"initial_constants": initial}} | self.sections
        )
        files = RawRange.parse("400-403")
        return WorkspaceReconstruction(
            self.workspace,
            config,
            2023,
            11705,
            files,
            strategy=load_strategy("3st"),
            stations=3,
            excluded=excluded,
        )

    def tree(self) -> dict[str, tuple[bytes, int]]:
        return {
            str(path.relative_to(self.workspace.root)): (
                path.read_bytes() if path.is_file() else b"",
                path.stat().st_ino,
            )
            for path in sorted(self.workspace.root.rglob("*"))
        }


@pytest.fixture
def site(tmp_path: Path) -> RecoSite:
    return RecoSite(tmp_path)


def test_what_jobs_will_bring_counts_before_it_is_there_and_what_they_brought_afterwards(
    site: RecoSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = site.workspace.root
    monkeypatch.setattr(crowded, "AFS", root.parent)
    monkeypatch.setattr(crowded, "SLOTS", 11)  # nine logs come into one directory
    mine = site.reconstruction()
    mine.prepare(Stage(1, within=1))
    assert mine.crowded(1).startswith(f"{root}/iter01/1reco/logs: 9 entries there or to come soon")
    monkeypatch.setattr(crowded, "SLOTS", 25)
    assert mine.crowded(1) == ""
    for number in range(20):  # what nobody foresaw is seen where the next iteration begins
        (root / f"iter01/2kfalignment/{number}.bad").touch()
    assert mine.crowded(2).startswith(f"{root}/iter01/2kfalignment: 20 entries")


def test_the_tree_is_the_one_that_users_know(site: RecoSite) -> None:
    site.reconstruction().prepare(Stage(1, within=1))
    assert list(site.tree()) == [
        "iter01",
        "iter01/1reco",
        "iter01/1reco/011705",
        "iter01/1reco/011705/00400",
        "iter01/1reco/011705/00401",
        "iter01/1reco/011705/00402",
        "iter01/1reco/aligndb_copy.sh",
        "iter01/1reco/check_tags.py",
        "iter01/1reco/inputforalign.txt",
        "iter01/1reco/logs",
        "iter01/1reco/reco.sub",
        "iter01/1reco/reco_condor_env.sh",
        "iter01/1reco/run_alignment.sh",
        "iter01/2kfalignment",
        "iter01/3millepede",
        "reco_condor_env.sh",
    ]
    assert site.tree()["iter01/1reco/inputforalign.txt"][0] == b""


def test_preparing_again_touches_nothing(site: RecoSite) -> None:
    site.reconstruction().prepare(Stage(1, within=1))
    before = site.tree()
    site.reconstruction().prepare(Stage(1, within=1))
    assert site.tree() == before


def test_an_environment_script_is_written_for_calypso_where_it_was_missing(site: RecoSite) -> None:
    site.reconstruction().prepare(Stage(1, within=1))
    assert site.env_script.read_text() == (
        "#!/bin/bash\n"
        "export ATLAS_LOCAL_ROOT_BASE=/cvmfs/atlas.cern.ch/repo/ATLASLocalRootBase\n"
        'source "$ATLAS_LOCAL_ROOT_BASE/user/atlasLocalSetup.sh"\n'
        f"asetup --input={site.install}/asetup.faser Athena,24.0.41\n"
        f"source {site.install}/setup.sh\n"
    )
    assert site.workspace.env_script.read_text() == site.env_script.read_text()


def test_calypsos_dependencies_are_found_in_the_sources_around_the_installation(
    site: RecoSite,
) -> None:
    (site.install / "asetup.faser").rename(site.install.parent / "asetup.faser")
    site.reconstruction().prepare(Stage(1))
    assert f"--input={site.install.parent}/asetup.faser " in site.env_script.read_text()


def test_without_calypsos_dependencies_nothing_begins(site: RecoSite) -> None:
    (site.install / "asetup.faser").unlink()
    with pytest.raises(InputError, match=r"no asetup\.faser .* set reco\.asetup_input"):
        site.reconstruction().check_inputs()


@pytest.mark.parametrize("name", ["$(touch hacked)", "a; touch hacked; b", "two words", "it's"])
def test_a_path_is_data_to_the_environment_script_whatever_is_in_it(
    name: str, site: RecoSite, tmp_path: Path
) -> None:
    install = tmp_path / name
    (install / "ATLASLocalRootBase/user").mkdir(parents=True)
    (install / "asetup.faser").touch()
    (install / "setup.sh").write_text("echo was sourced\n")
    (install / "ATLASLocalRootBase/user/atlasLocalSetup.sh").write_text(
        'asetup() { echo "$# arguments: $*"; }\n'
    )
    site.settings["calypso_install"] = install
    site.reconstruction().prepare(Stage(1))
    done = subprocess.run(
        ["bash", str(site.workspace.env_script)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == (
        f"2 arguments: --input={install}/asetup.faser Athena,24.0.41\nwas sourced\n"
    )
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("name", ["two words", "a,b", "$(HOME)", "it's", 'say"so"'])
def test_a_workspace_whose_path_htcondor_would_split_or_expand_is_refused(
    name: str, site: RecoSite, tmp_path: Path
) -> None:
    there = replace(site.reconstruction(), workspace=Workspace(tmp_path / name))
    there.check_inputs()
    site.sections["batch"] = {"system": "htcondor"}
    with pytest.raises(UsageError, match="HTCondor would split or expand"):
        replace(site.reconstruction(), workspace=Workspace(tmp_path / name)).check_inputs()


def test_an_installation_may_bring_its_own_local_root_base(site: RecoSite) -> None:
    own = site.install / "ATLASLocalRootBase"
    (own / "user").mkdir(parents=True)
    (own / "user" / "atlasLocalSetup.sh").touch()
    site.reconstruction().prepare(Stage(1, within=1))
    assert f"export ATLAS_LOCAL_ROOT_BASE={own}\n" in site.env_script.read_text()


def test_programs_given_as_paths_travel_with_the_jobs(site: RecoSite, tmp_path: Path) -> None:
    writer, program = tmp_path / "WriteAlignmentConfig_Faser04.py", tmp_path / "reco.py"
    writer.write_text("writes")
    program.write_text("reconstructs")
    program.chmod(0o755)
    site.sections["reco"] = {"writer": str(writer), "program": str(program)}
    reconstruction = site.reconstruction()
    reconstruction.check_inputs()
    reconstruction.prepare(Stage(1))
    reco = site.workspace.iteration(1, 11705).reco
    copies = [reco / writer.name, reco / program.name]
    assert [(path.read_text(), path.stat().st_mode & 0o777) for path in copies] == [
        ("writes", 0o644),
        ("reconstructs", 0o755),
    ]
    assert set(reconstruction.batch(Stage(1), "", [400], {}, ()).inputs) > set(copies)
    writer.unlink()
    with pytest.raises(InputError, match=r"WriteAlignmentConfig_Faser04\.py: cannot be read"):
        reconstruction.check_inputs()


def test_raw_files_may_be_read_by_xrootd(site: RecoSite) -> None:
    site.settings["raw_url"] = "root://eospublic.cern.ch"
    (job,) = site.reconstruction().batch(Stage(1), "", [400], {}, ()).jobs
    raw = raw_path(site.raw_dir, 2023, 11705, 400)
    assert job.arguments[job.arguments.index("--raw") + 1] == f"root://eospublic.cern.ch/{raw}"


def test_outputs_may_lie_elsewhere(site: RecoSite, tmp_path: Path) -> None:
    site.settings["outputs_dir"] = tmp_path / "eos"
    reconstruction = site.reconstruction()
    for _ in range(2):
        reconstruction.prepare(Stage(1))
    paths = site.workspace.iteration(1, 11705)
    place = tmp_path / "eos/Y2023_R011705_F400-403/iter01/2kfalignment"
    assert reconstruction.batch(Stage(1), "", [400], {}, ()).deliver_to == place
    (place / paths.output_name(400)).touch()
    assert reconstruction.delivered(1) == {400}
    assert paths.kfalignment.readlink() == place


def test_outputs_of_another_alignment_are_not_taken_for_ours(
    site: RecoSite, tmp_path: Path
) -> None:
    site.settings["outputs_dir"] = tmp_path / "eos"
    place = tmp_path / "eos/Y2023_R011705_F400-403/iter01/2kfalignment"
    place.mkdir(parents=True)
    (place / "kfalignment_011705_00400.root").touch()
    with pytest.raises(InputError, match="outputs of another alignment"):
        site.reconstruction().prepare(Stage(1))


def test_a_direct_submission_from_eos_is_refused_before_anything_is_made(site: RecoSite) -> None:
    site.sections |= {"batch": {"system": "htcondor"}, "htcondor": {"spool": False}}
    here = site.reconstruction()
    here.check_inputs()
    on_eos = replace(here, workspace=Workspace(Path("/eos/user/f/faser/Y2023_R011705_F400-403")))
    with pytest.raises(InputError, match=r"/eos/user/f/.*htcondor\.spool=true"):
        on_eos.check_inputs()


def test_an_environment_script_that_is_there_is_copied_and_kept(site: RecoSite) -> None:
    site.env_script.write_text("export MINE=1\n")
    site.reconstruction().prepare(Stage(1, within=1))
    site.env_script.write_text("export CHANGED=1\n")
    site.reconstruction().prepare(Stage(1, within=1))
    reco = site.workspace.iteration(1, 11705).reco
    assert (reco / "reco_condor_env.sh").read_text() == "export MINE=1\n"


def test_without_environment_script_and_calypso_nothing_starts(site: RecoSite) -> None:
    site.settings = {}
    with pytest.raises(UsageError, match="--env_script or --calypso_path"):
        site.reconstruction().check_inputs()
    assert site.tree() == {}


def test_an_installation_without_setup_is_refused(site: RecoSite) -> None:
    (site.install / "setup.sh").unlink()
    with pytest.raises(InputError, match=r"no setup\.sh"):
        site.reconstruction().check_inputs()


def test_every_missing_raw_file_is_named(site: RecoSite) -> None:
    for number in (400, 402):
        raw_path(site.raw_dir, 2023, 11705, number).unlink()
    with pytest.raises(InputError, match=r"2 of 3 raw files: 00400 00402 \(not there\)"):
        site.reconstruction().check_inputs()


def test_excluded_raw_files_are_neither_missed_nor_wanted(site: RecoSite) -> None:
    raw_path(site.raw_dir, 2023, 11705, 401).unlink()
    reconstruction = site.reconstruction(excluded=frozenset({401}))
    reconstruction.check_inputs()
    assert reconstruction.wanted() == {400, 402}


def test_an_iteration_starts_from_what_the_last_one_found(site: RecoSite) -> None:
    first, second = (site.workspace.iteration(number, 11705) for number in (1, 2))
    site.reconstruction().prepare(Stage(1, within=1))
    first.new_constants.write_text(CONSTANTS)
    site.reconstruction().prepare(Stage(2, within=2))
    assert second.constants.read_text() == CONSTANTS


def test_the_first_iteration_may_start_from_given_constants(site: RecoSite, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text(CONSTANTS)
    site.reconstruction(initial=given).prepare(Stage(1, within=1))
    assert site.workspace.iteration(1, 11705).constants.read_text() == CONSTANTS


@pytest.mark.parametrize(
    "text",
    [
        '"10": [NaN, 0, 0, 0, 0, 0]',
        '"10": [0, 0, 0]',
        '"10": 3',
        '"10": [0,0,0,0,0,0],"10": [0,0,0,0,0,0]',
        '"99": [0, 0, 0, 0, 0, 0]',  # nothing that jobs fall over, but pede's side does
        '"1034": [0, 0, 0, 0, 0, 0]',
        '"layer": [0, 0, 0, 0, 0, 0]',
        "rubbish",
    ],
)
def test_constants_that_millepede_would_refuse_get_no_jobs(
    site: RecoSite, text: str, tmp_path: Path
) -> None:
    given = tmp_path / "given.txt"
    given.write_text(text)
    site.reconstruction().prepare(Stage(1, within=1))
    site.workspace.iteration(1, 11705).new_constants.write_text(text)
    with pytest.raises(InputError, match=str(given)):
        site.reconstruction(initial=given).check_inputs()
    with pytest.raises(InputError, match="3millepede"):
        site.reconstruction().prepare(Stage(2, within=2))
    assert not site.workspace.iteration(2, 11705).root.exists()


def test_constants_in_braces_reach_the_jobs_without(site: RecoSite, tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    given.write_text("{" + CONSTANTS + "}\n")
    site.reconstruction(initial=given).prepare(Stage(1, within=1))
    assert site.workspace.iteration(1, 11705).constants.read_text() == CONSTANTS


def test_the_same_constants_written_otherwise_spoil_no_outputs(
    site: RecoSite, tmp_path: Path
) -> None:
    given = tmp_path / "given.txt"
    given.write_text(CONSTANTS)
    site.reconstruction(initial=given).prepare(Stage(1, within=1))
    paths = site.workspace.iteration(1, 11705)
    paths.output(400).touch()
    given.write_text(f"{{{CONSTANTS}}}\n")
    site.reconstruction(initial=given).prepare(Stage(1, within=1))
    given.write_text(CONSTANTS.replace("0.1", "0.2"))
    with pytest.raises(PhysicsError, match="reconstructed with other constants"):
        site.reconstruction(initial=given).prepare(Stage(1, within=1))


def test_delivered_outputs_are_counted_until_they_are_rejected(site: RecoSite) -> None:
    reconstruction = site.reconstruction()
    assert reconstruction.delivered(1) == frozenset()
    reconstruction.prepare(Stage(1, within=1))
    paths = site.workspace.iteration(1, 11705)
    for number in (400, 402):
        paths.output(number).touch()
    (paths.kfalignment / f".{paths.output_name(401)}.host.1").touch()
    assert reconstruction.delivered(1) == {400, 402}
    reconstruction.reject(1, 400)
    reconstruction.reject(1, 400)
    assert reconstruction.delivered(1) == {402}
    assert (paths.kfalignment / f"{paths.output_name(400)}.bad").exists()


def test_a_batch_holds_the_jobs_asked_for_each_with_the_memory_that_it_needs(
    site: RecoSite,
) -> None:
    needed = {402: 6000, 400: 100, 401: 7000}
    batch = site.reconstruction().batch(Stage(1), "key", {402, 400}, needed, {"b1", "a1"})
    assert [job.number for job in batch.jobs] == [400, 402]
    assert (batch.jobs[0].directory, batch.jobs[0].output) == (
        "011705/00400", "kfalignment_011705_00400.root",
    )  # fmt: skip
    assert (batch.resources.memory_mb, batch.resources.disk_mb) == (4000, 8000)
    assert [job.memory_mb for job in batch.jobs] == [None, 6000]
    assert batch.avoid_machines == ("a1", "b1")


def test_evidence_tells_the_exit_code_and_the_end_of_the_log(site: RecoSite) -> None:
    reconstruction = site.reconstruction()
    reconstruction.prepare(Stage(1, within=1))
    log = site.workspace.iteration(1, 11705).job_log(400, "err")
    log.write_text("".join(f"line {number}\n" for number in range(2000)))
    problem = Problem(400, Trouble.FAILED, "exit code 12", exit_code=12, machine="b1.cern.ch")
    evidence = reconstruction.evidence(1, problem)
    assert evidence.startswith("raw file 00400 failed: exit code 12 (on b1.cern.ch)\n")
    assert "the raw file cannot be read; check paths.raw_dir" in evidence
    assert evidence.endswith("  line 1999")
    assert len(evidence.splitlines()) < 20
