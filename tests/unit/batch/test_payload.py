from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment.model import Batch, Job, Resources
from auto_iter.batch.htcondor.submit import (
    items,
    refuse_eos,
    submit_description,
    submit_file,
)
from auto_iter.batch.job import job_arguments, travelling
from auto_iter.config.batch import HTCondor
from auto_iter.config.schema import Reco
from auto_iter.errors import InputError, UsageError

RAW = "/eos/raw/2023/011705/Faser-Physics-011705-00400.raw"
RECO = Path("/ws/iter01/1reco")
ARGUMENTS = job_arguments(RAW, 11705, 400, 3, Reco())
BATCH = Batch(
    key="ws-1-1-abc",
    directory=RECO,
    executable=RECO / "run_alignment.sh",
    inputs=(RECO / "reco_condor_env.sh", RECO / "inputforalign.txt"),
    deliver_to=Path("/ws/iter01/2kfalignment"),
    jobs=(Job(400, ARGUMENTS, "kfalignment_011705_00400.root", "011705/00400"),),
    resources=Resources(cpus=2, memory_mb=4000, disk_mb=8000, time_limit_s=7200.4),
)


def test_the_arguments_are_those_of_the_job_script() -> None:
    assert " ".join(ARGUMENTS) == (
        f"--raw {RAW} --run 011705 --file 00400 "
        "--writer WriteAlignmentConfig_Faser04.py --schema FASER-05_ALLP200.db --dbname CONDBR3 "
        "--pool-file FASER-05_Align.pool.root --tag TRACKER-ALIGN-05 "
        "--program faser_reco_alignment.py "
        "-- --alignment --noForward --noIFT --output_level INFO"
    )


@pytest.mark.parametrize(
    ("settings", "stations", "told"),
    [
        ({}, 4, "--alignment --noForward --output_level INFO"),
        ({"preset": "2024"}, 3, "--alignment --noBackward --noIFT --output_level INFO"),
        (
            {"global_tag": "OFLCOND-FASER-06", "geometry": "TI12Data04"},
            4,
            "--alignment --noForward --output_level INFO --cond OFLCOND-FASER-06 --geom TI12Data04",
        ),
        (
            {"events": 100, "skip_events": 50, "arguments": ["--noTracking", "--x=1"]},
            4,
            "--alignment --noForward --output_level INFO --skip 50 -n 100 --noTracking --x=1",
        ),
    ],
)
def test_what_the_reconstruction_is_told_comes_after_the_dashes(
    settings: dict[str, object], stations: int, told: str
) -> None:
    arguments = job_arguments(RAW, 11705, 400, stations, Reco.model_validate(settings))
    assert " ".join(arguments).partition(" -- ")[2] == told


def test_programs_given_as_paths_travel_and_are_known_by_name() -> None:
    reco = Reco(writer="/afs/me/WriteAlignmentConfig_Faser04.py", program="/afs/me/reco.py")
    assert travelling(reco) == (Path("/afs/me/WriteAlignmentConfig_Faser04.py"), Path(reco.program))
    arguments = job_arguments(RAW, 11705, 400, 3, reco)
    assert "WriteAlignmentConfig_Faser04.py" in arguments
    assert "reco.py" in arguments
    assert travelling(Reco()) == ()


@pytest.mark.parametrize("raw", ["/a b/x.raw", '/a"b.raw', "/a'b.raw", "/$(x).raw", "/a\nb"])
def test_arguments_that_htcondor_would_split_are_refused(raw: str) -> None:
    with pytest.raises(UsageError, match="job argument"):
        job_arguments(raw, 11705, 400, 3, Reco())


def test_a_spooled_job_brings_its_output_to_its_own_directory() -> None:
    name, text = submit_file(BATCH, HTCondor())
    assert name == "reco.sub"
    assert "condor_submit -spool reco.sub" in text
    assert 'transfer_output_remaps = "$(outfile) = $(directory)/$(outfile)"\n' in text
    assert "transfer_output_files" not in text
    assert text.endswith(
        "queue number, directory, outfile, memory, flavour, options from (\n"
        "  00400, 011705/00400, kfalignment_011705_00400.root, 4000, longlunch, "
        f"{' '.join(ARGUMENTS)}\n)\n"
    )


def test_a_job_asks_for_the_memory_that_it_is_known_to_need() -> None:
    hungry = replace(BATCH, jobs=(*BATCH.jobs, replace(BATCH.jobs[0], number=401, memory_mb=6000)))
    assert [row["memory"] for row in items(hungry, HTCondor())] == ["4000", "6000"]


def test_a_direct_job_delivers_by_itself() -> None:
    direct = HTCondor(spool=False)
    assert submit_description(BATCH, direct)["transfer_output_files"] == '""'
    (row,) = items(BATCH, direct)
    assert row["options"].startswith("--deliver /ws/iter01/2kfalignment --raw ")


def test_a_direct_job_may_deliver_by_xrootd() -> None:
    (row,) = items(BATCH, HTCondor(spool=False, deliver_url="root://eosuser.cern.ch"))
    assert row["options"].startswith(
        "--deliver root://eosuser.cern.ch//ws/iter01/2kfalignment --raw "
    )


EOS = Path("/eos/user/f/faser/Y2023/iter01/1reco")


@pytest.mark.parametrize(
    ("batch", "extra", "named"),
    [
        ({"directory": EOS}, {}, "initialdir"),
        ({"executable": EOS / "run_alignment.sh"}, {}, "executable"),
        ({"inputs": (RECO / "a", EOS / "b")}, {}, "transfer_input_files"),
        ({}, {"Output": "/eos/user/f/x.out"}, "output"),
        ({}, {"transfer_input_files": "a, /eos/user/f/b"}, "transfer_input_files"),
    ],
)
def test_a_direct_submission_from_eos_is_refused_before_the_schedd_does(
    batch: dict[str, Any], extra: dict[str, str], named: str
) -> None:
    config = HTCondor(spool=False, extra=extra)
    description = submit_description(replace(BATCH, **batch), config)
    with pytest.raises(InputError, match=rf"^{named}: /eos/user/f/"):
        refuse_eos(description, config)
    spooled = HTCondor(extra=extra)
    refuse_eos(submit_description(replace(BATCH, **batch), spooled), spooled)


def test_outputs_on_eos_are_no_reason_to_refuse() -> None:
    config = HTCondor(spool=False)
    refuse_eos(submit_description(replace(BATCH, deliver_to=EOS), config), config)


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        ({}, "My.JobFlavour", '"$(flavour)"'),
        ({"job_flavour": None}, "My.JobFlavour", None),
        ({}, "request_cpus", "2"),
        ({"request_cpus": 4}, "request_cpus", "4"),
        ({}, "request_memory", "$(memory)MB"),
        ({}, "allowed_job_duration", "7200"),
        ({}, "max_retries", "3"),
        ({}, "retry_until", "ExitCode =?= 31 || ExitCode =?= 33 || ExitCode =?= 34"),
        ({}, "requirements", None),
        ({"requirements": "A =?= B"}, "requirements", "(A =?= B)"),
        ({"accounting_group": "group_u_FASER"}, "accounting_group", "group_u_FASER"),
        ({"send_credential": True}, "My.SendCredential", "True"),
        ({"max_idle": 500, "spool": False}, "max_idle", "500"),
        ({"extra": {"max_retries": "0", "My.X": "1"}}, "max_retries", "0"),
        ({}, "My.AutoIterKey", '"ws-1-1-abc"'),
    ],
)  # fmt: skip
def test_the_configuration_shapes_the_description(
    config: dict[str, object], name: str, value: str | None
) -> None:
    assert submit_description(BATCH, HTCondor.model_validate(config)).get(name) == value


def test_black_holes_are_avoided_on_top_of_the_configured_requirements() -> None:
    batch = replace(BATCH, avoid_machines=("b1.cern.ch", "b2.cern.ch"))
    assert submit_description(batch, HTCondor(requirements="Arch == X || Y"))["requirements"] == (
        '(Arch == X || Y) && (TARGET.Machine =!= "b1.cern.ch" || time() - QDate > 1800)'
        ' && (TARGET.Machine =!= "b2.cern.ch" || time() - QDate > 1800)'
    )


def test_a_description_without_a_key_claims_no_submission() -> None:
    _, text = submit_file(replace(BATCH, key=""), HTCondor())
    assert "AutoIterKey" not in text


def test_extra_commands_may_be_written_as_numbers_and_truth_values() -> None:
    config = HTCondor.model_validate(
        {"extra": {"priority": 5, "notify_user": True}, "requirements": False}
    )
    description = submit_description(BATCH, config)
    told = [description[name] for name in ("priority", "notify_user", "requirements")]
    assert told == ["5", "True", "(False)"]
