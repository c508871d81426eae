"""The job script against a Calypso made of shell stubs: every step that can fail, does."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from auto_iter.batch.job import job_arguments
from auto_iter.config.schema import Reco
from auto_iter.simulation import conditions

RECO = """#!/bin/bash
echo "$@" > "$SPY/reco.arguments"
cp data/sqlite200/ALLP200.db "$SPY/" && ls data/poolcond > "$SPY/poolcond"
cp "$SPY/good.root" "Faser-Physics-011705-00400-kfalignment.root"
echo x > Faser-Physics-011705-00400-xAOD.root
echo "IOVDbSvc    INFO Global tag: OFLCOND-FASER-05 set from joboptions"
"""
WRITER = """#!/bin/bash
echo "$1" > "$SPY/constants"
exec python -c 'import sys; from auto_iter.simulation import calypso
sys.exit(calypso.write_alignment_config("05", sys.argv[1:]))' "$1"
"""
COPY = """#!/bin/bash
echo "$@" > "$SPY/copy.arguments"
exec python -c 'import sys; from auto_iter.simulation import calypso
sys.exit(calypso.atl_cool_copy(sys.argv[1:]))' "$@"
"""
CONSOLE = '#!/bin/bash\nread -r word && [ "$word" = exit ]\n'


def root_file(payload: int = 100) -> bytes:
    """Return the head of a ROOT file of version 6.30, then `payload` bytes."""
    return b"root" + struct.pack(">III", 63000, 100, 16 + payload) + bytes(payload)


class JobSite:
    """A sandbox, the inputs beside the script, and a Calypso whose parts can be replaced."""

    def __init__(self, root: Path) -> None:
        self.beside, self.sandbox, self.bin = root / "1reco", root / "sandbox", root / "bin"
        self.spy, self.scratch, self.delivered = root / "spy", root / "scratch", root / "out"
        for directory in (
            self.beside, self.sandbox, self.bin, self.spy, self.scratch, self.delivered,
            root / "release/sqlite200",
        ):  # fmt: skip
            directory.mkdir(parents=True)
        for name in ("run_alignment.sh", "aligndb_copy.sh", "check_tags.py"):
            script = files("conf").joinpath("job", name).read_text()
            (self.beside / name).write_text(script)
        self.database = root / "release/sqlite200/ALLP200.db"
        conditions.write_release(self.database)
        self.database.chmod(0o444)
        self.raw = root / "Faser-Physics-011705-00400.raw"
        self.raw.write_text("raw")
        self.constants = self.beside / "inputforalign.txt"
        self.constants.write_text('"10": [0.1, 0, 0, 0, 0, 0]')
        self.env = self.beside / "reco_condor_env.sh"
        self.env.write_text(
            f"export PATH={self.bin}:$PATH FASER_DBRELEASE={root}/release SPY={self.spy}\n"
            "raw=clobbered; : $NOT_SET; return_value=3; return 3\n"
        )
        self.program("python", f'#!/bin/bash\nexec {sys.executable} "$@"\n')
        self.program("faser_reco_alignment.py", RECO)
        self.program("WriteAlignmentConfig_Faser04.py", WRITER)
        self.program("AtlCoolConsole.py", CONSOLE)
        self.program("AtlCoolCopy", COPY)
        self.good = self.spy / "good.root"
        self.good.write_bytes(root_file())
        self.output = self.sandbox / "kfalignment_011705_00400.root"

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def command(self, *extra: str, stations: int = 3, **reco: object) -> list[str]:
        arguments = job_arguments(str(self.raw), 11705, 400, stations, Reco.model_validate(reco))
        return ["bash", str(self.beside / "run_alignment.sh"), *extra, *arguments]

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": os.environ["HOME"],
            "_CONDOR_SCRATCH_DIR": str(self.scratch),
        }

    def run(
        self, *extra: str, stations: int = 3, **reco: object
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*extra, stations=stations, **reco), cwd=self.sandbox,
            env=self.environment(), capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> JobSite:
    return JobSite(tmp_path)


def test_the_output_is_left_in_the_sandbox_and_nothing_else(site: JobSite) -> None:
    done = site.run()
    assert done.returncode == 0, done.stderr
    assert site.output.read_bytes() == root_file()
    assert list(site.sandbox.iterdir()) == [site.output]
    assert list(site.scratch.iterdir()) == []


def test_the_steps_get_what_production_gives_them(site: JobSite) -> None:
    assert site.run().returncode == 0
    assert (site.spy / "reco.arguments").read_text() == (
        f"{site.raw} --alignment --noForward --noIFT --output_level INFO\n"
    )
    assert (site.spy / "constants").read_text() == (
        'AlignDbTool.AlignmentConstants={"10": [0.1, 0, 0, 0, 0, 0]}\n'
    )
    assert (site.spy / "copy.arguments").read_text() == (
        "sqlite://;schema=./FASER-05_ALLP200.db;dbname=CONDBR3 "
        "sqlite://;schema=data/sqlite200/ALLP200.db;dbname=CONDBR3 -fnp -ot TRACKER-ALIGN-05\n"
    )
    before, after = (
        conditions.tags_in(f"sqlite://;schema={database};dbname=CONDBR3")
        for database in (site.database, site.spy / "ALLP200.db")
    )
    assert {tag for tag in after if after[tag] != before[tag]} == {"TRACKER-ALIGN-05"}
    assert (site.spy / "poolcond").read_text().split() == [
        "FASER-05_Align.pool.root", "PoolCat_oflcond.xml", "PoolFileCatalog.xml",
    ]  # fmt: skip


def test_four_stations_keep_the_interface_tracker(site: JobSite) -> None:
    assert site.run(stations=4).returncode == 0
    assert "--noIFT" not in (site.spy / "reco.arguments").read_text()


def test_the_output_is_delivered_where_told(site: JobSite) -> None:
    assert site.run("--deliver", str(site.delivered)).returncode == 0
    assert [path.name for path in site.delivered.iterdir()] == [site.output.name]
    assert list(site.sandbox.iterdir()) == []


def test_inputs_in_the_sandbox_win_over_those_beside_the_script(site: JobSite) -> None:
    (site.sandbox / "inputforalign.txt").write_text("")
    assert site.run().returncode == 0
    assert (site.spy / "constants").read_text() == "AlignDbTool.AlignmentConstants={}\n"


def _writer(*afterwards: str) -> Callable[[JobSite], object]:
    text = WRITER.replace("exec ", "") + "\n".join(afterwards)
    return lambda site: site.program("WriteAlignmentConfig_Faser04.py", text + "\n")


def _no_scratch(site: JobSite) -> None:
    site.scratch.rmdir()
    site.scratch.write_text("a file")


def _no_delivery(site: JobSite) -> None:
    site.delivered.rmdir()


def _cut_short(site: JobSite) -> None:
    site.good.write_bytes(root_file()[:-1])


def _idle(site: JobSite) -> None:
    site.program("faser_reco_alignment.py", "#!/bin/bash\n")


def _remove(site: JobSite, name: str) -> None:
    (site.bin / name).unlink()


def _fails(name: str) -> Callable[[JobSite], object]:
    return lambda site: site.program(name, "#!/bin/bash\nexit 7\n")


def _on_a_bad_disk(path: Path) -> None:
    """Have `path` answer EIO when it is read: nothing is mapped where a process's memory begins."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


FAILURES: dict[str, tuple[int, Callable[[JobSite], object], str]] = {
    "arguments": (10, lambda _: None, "unknown argument --colour"),
    "missing env script": (11, lambda site: site.env.unlink(), "reco_condor_env.sh"),
    "missing constants": (11, lambda site: site.constants.unlink(), "inputforalign.txt"),
    "missing raw file": (12, lambda site: site.raw.unlink(), "cannot read"),
    "raw file on a bad disk": (12, lambda site: _on_a_bad_disk(site.raw), "Input/output error"),
    "env script exits": (20, lambda site: site.env.write_text("exit 0\n"), "ended the shell"),
    "env without programs": (20, lambda site: site.env.write_text("set -e\n"), "not on PATH"),
    "no program": (20, lambda site: _remove(site, "faser_reco_alignment.py"), "give reco.program"),
    "no writer": (20, lambda site: _remove(site, "WriteAlignmentConfig_Faser04.py"),
                  "the writer WriteAlignmentConfig_Faser04.py is not on PATH"),
    "no Athena": (20, lambda site: _remove(site, "AtlCoolCopy"), "Athena was not set up"),
    "scratch": (21, _no_scratch, "no scratch directory"),
    "database": (22, lambda site: site.database.unlink(), "ALLP200.db"),
    "writer": (30, _fails("WriteAlignmentConfig_Faser04.py"), "exit code 7"),
    "writer's words": (30, _writer("echo no geometry; exit 7"), "no geometry"),
    "schema": (31, _writer("mv FASER-05_ALLP200.db FASER-04_ALLP200.db"),
               "sqlite_schema disagree: WriteAlignmentConfig_Faser04.py left FASER-04_A"),
    "empty schema": (31, _writer(": > FASER-05_ALLP200.db"), "sqlite_schema disagree"),
    "no database": (31, _writer("echo no database > FASER-05_ALLP200.db"),
                    "reco.writer and reco.dbname disagree"),
    "copy": (32, _fails("AtlCoolCopy"), "exit code 7"),
    "copy does nothing": (32, lambda site: site.program("AtlCoolCopy", "#!/bin/bash\nexit 0\n"),
                          "does not refer to the pool file"),
    "catalogue": (33, _writer("rm PoolFileCatalog.xml"), "PoolFileCatalog.xml"),
    "pool file": (33, _writer("mv FASER-05_Align.pool.root FASER-04_Align.pool.root"),
                  "reco.writer and reco.pool_file disagree"),
    "tag": (34, lambda site: site.program("faser_reco_alignment.py", RECO.replace(
                "OFLCOND-FASER-05", "OFLCOND-FASER-04")),
            "OFLCOND-FASER-04 leads to TRACKER-ALIGN-04, not to TRACKER-ALIGN-05"),
    "reconstruction": (40, _fails("faser_reco_alignment.py"), "exit code 7"),
    "no output": (41, _idle, "left 0 files"),
    "empty output": (42, lambda site: site.good.write_bytes(b""), "not a ROOT file"),
    "no ROOT file": (42, lambda site: site.good.write_bytes(b"PK" * 50), "not a ROOT file"),
    "cut short": (42, _cut_short, "115 bytes instead of 116"),
    "delivery": (50, _no_delivery, "cannot deliver"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_each_step_that_fails_has_its_exit_code_and_says_why(site: JobSite, name: str) -> None:
    code, break_it, said = FAILURES[name]
    break_it(site)
    extra = {"arguments": ["--colour", "red"], "delivery": ["--deliver", str(site.delivered)]}
    done = site.run(*extra.get(name, []))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not site.output.exists()
    assert not site.scratch.is_dir() or list(site.scratch.iterdir()) == []


def test_what_the_console_returns_does_not_count(site: JobSite) -> None:
    _fails("AtlCoolConsole.py")(site)
    done = site.run()
    assert done.returncode == 0, done.stderr
    assert "AtlCoolConsole.py returned 7" in done.stderr


def test_a_copy_that_is_there_counts_whatever_the_program_returned(site: JobSite) -> None:
    site.program("AtlCoolCopy", COPY.replace("exec ", "") + "exit 3\n")
    done = site.run()
    assert done.returncode == 0, done.stderr
    assert "AtlCoolCopy returned 3, but TRACKER-ALIGN-05 is there" in done.stderr


def test_a_global_tag_that_leads_elsewhere_is_refused_before_the_reconstruction(
    site: JobSite,
) -> None:
    done = site.run(global_tag="OFLCOND-FASER-04")
    assert (done.returncode, "reads OFLCOND-FASER-04" in done.stderr) == (34, True), done.stderr
    assert not (site.spy / "reco.arguments").exists()


def test_constants_go_to_any_tag_that_the_reconstruction_reads(site: JobSite) -> None:
    site.program("faser_reco_alignment.py", RECO.replace("FASER-05", "FASER-06"))
    done = site.run(output_tag="TRACKER-ALIGN-06", global_tag="OFLCOND-FASER-06")
    assert done.returncode == 0, done.stderr
    assert "global tag OFLCOND-FASER-06 leads to TRACKER-ALIGN-06" in done.stdout


@pytest.mark.parametrize("said", ["", "Global tag: OFLCOND-MINE-01 set from joboptions"])
def test_what_nobody_can_tell_is_said_and_believed(site: JobSite, said: str) -> None:
    told = "Global tag: OFLCOND-FASER-05 set from joboptions"
    site.program("faser_reco_alignment.py", RECO.replace(told, said))
    done = site.run()
    assert done.returncode == 0, done.stderr
    assert "cannot tell whether" in done.stdout


def test_the_constants_are_looked_for_where_the_last_global_tag_leads(site: JobSite) -> None:
    overridden = "echo 'Override global tag configFlags.IOVDb.GlobalTag = OFLCOND-FASER-04'\n"
    site.program("faser_reco_alignment.py", RECO + overridden)
    assert site.run().returncode == 34


def test_programs_that_travel_need_neither_path_nor_permission(site: JobSite) -> None:
    for name in ("faser_reco_alignment.py", "WriteAlignmentConfig_Faser04.py"):
        (site.bin / name).unlink()
        (site.sandbox / name).write_text(_as_python(site, name))
        (site.sandbox / name).chmod(0o644)
    done = site.run()
    assert done.returncode == 0, done.stderr
    assert (site.spy / "reco.arguments").read_text().startswith(f"{site.raw} --alignment")


def test_a_program_on_path_that_nobody_made_executable_is_a_python_program(site: JobSite) -> None:
    for name in ("faser_reco_alignment.py", "WriteAlignmentConfig_Faser04.py"):
        (site.bin / name).write_text(_as_python(site, name))
        (site.bin / name).chmod(0o644)
    done = site.run()
    assert done.returncode == 0, done.stderr


def _as_python(site: JobSite, name: str) -> str:
    """Return a Python program that does what the shell stub of this name does."""
    stub = site.spy / f"{name}.sh"
    stub.write_text(RECO if "reco" in name else WRITER)
    return (
        "import subprocess, sys\n"
        f"sys.exit(subprocess.call(['bash', {str(stub)!r}, *sys.argv[1:]]))\n"
    )


XRDCP = """#!/bin/bash
echo "$@" > "$SPY/xrdcp.arguments"
[ -z "$BROKEN" ] || exit 54
"""


def test_an_output_is_delivered_by_xrootd_whole_or_not_at_all(site: JobSite) -> None:
    site.program("xrdcp", XRDCP)
    place = "root://eosuser.cern.ch//eos/user/f/faser/2kfalignment"
    done = site.run("--deliver", place)
    assert done.returncode == 0, done.stderr
    assert (site.spy / "xrdcp.arguments").read_text() == (
        "--force --posc --path --silent Faser-Physics-011705-00400-kfalignment.root "
        f"{place}/{site.output.name}\n"
    )
    assert list(site.sandbox.iterdir()) == []
    site.env.write_text(site.env.read_text().replace("export ", "export BROKEN=1 "))
    done = site.run("--deliver", place)
    assert (done.returncode, "xrdcp cannot deliver" in done.stderr) == (50, True)


def test_an_output_without_tracks_is_found_where_root_is_at_hand(site: JobSite) -> None:
    site.program(
        "python",
        f'#!/bin/bash\n[ "$1" != - ] && exec {sys.executable} "$@"\ncat > $SPY/check.py\nexit 43\n',
    )
    done = site.run()
    assert (done.returncode, "holds no track" in done.stderr) == (43, True)
    compile((site.spy / "check.py").read_text(), "check.py", "exec")


def test_told_to_end_it_takes_the_reconstruction_along_and_cleans_up(site: JobSite) -> None:
    started = site.spy / "started"
    os.mkfifo(started)
    site.program("faser_reco_alignment.py", f"#!/bin/bash\nsleep 60 & echo $! > {started}\nwait\n")
    with subprocess.Popen(
        site.command(), cwd=site.sandbox, env=site.environment(), stderr=subprocess.PIPE, text=True
    ) as job:
        sleeper = int(started.read_text())
        job.send_signal(signal.SIGTERM)
        _, stderr = job.communicate(timeout=10)
    assert (job.returncode, "told to end" in stderr) == (143, True)
    assert list(site.scratch.iterdir()) == []
    assert not Path(f"/proc/{sleeper}").exists() or "Z" in Path(f"/proc/{sleeper}/stat").read_text()


def test_a_disk_that_was_full_when_a_step_began_is_the_reason_although_it_has_room_again(
    site: JobSite,
) -> None:
    room = site.spy / "room"
    site.program(
        "df", f'#!/bin/bash\n[ -e {room} ] && left=9000000000\necho "${{left:-0}} 9000000000"\n'
    )
    site.program("WriteAlignmentConfig_Faser04.py", f"#!/bin/bash\ntouch {room}\nexit 1\n")
    assert site.run().returncode == 51
    assert site.run().returncode == 30  # there was room all the time
