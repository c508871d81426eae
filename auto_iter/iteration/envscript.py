"""The environment script `reco_condor_env.sh`: found, or written from the Calypso installation."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

from auto_iter.config.schema import Config
from auto_iter.errors import InputError, UsageError
from auto_iter.files import write_atomically
from auto_iter.workspace.paths import Workspace

_CVMFS_ALRB = "/cvmfs/atlas.cern.ch/repo/ATLASLocalRootBase"
_ASETUP = "asetup.faser"
_OWN_ALRB = "ATLASLocalRootBase"


def check_calypso(config: Config) -> None:
    """Raise InputError when the configured Calypso is no installation, whether needed or not.

    Who names one that is not there has mistyped it, and means another than the jobs would get.
    """
    install = config.paths.calypso_install
    if install is None:
        return
    if not install.is_dir():
        raise InputError(
            f"{install}: no such Calypso installation",
            "correct --calypso_path (paths.calypso_install)",
        )
    if not (install / "setup.sh").is_file():
        raise InputError(
            f"{install}: no setup.sh in this Calypso installation",
            "--calypso_path (paths.calypso_install) is the install directory, with setup.sh in it",
        )


def env_script_text(config: Config) -> str:
    """Return the script that sets up the configured Calypso installation.

    Raises UsageError without one, InputError when it is no installation.
    """
    install = config.paths.calypso_install
    if install is None:
        raise UsageError(
            f"{config.paths.env_script}: no such environment script, and no Calypso installation "
            f"to write one for; give --env_script or --calypso_path"
        )
    check_calypso(config)
    install = install.absolute()
    filled = {
        "ATLAS_LOCAL_ROOT_BASE": _local_root_base(install),
        "ASETUP_INPUT": _asetup_input(install, config),
        "ATHENA": config.reco.athena,
        "CALYPSO_SETUP": str(install / "setup.sh"),
    }
    text = files("conf").joinpath("job/reco_condor_env.sh").read_text()
    for name, value in filled.items():
        # Quoted: bash would run what a path or a setting has in $( ), and split it at spaces.
        text = text.replace(f"@{name}@", shlex.quote(value))
    return text


def _asetup_input(install: Path, config: Config) -> str:
    """Return the file that asetup takes Calypso's dependencies from.

    It belongs to the sources: those lie beside the installation, or around it. Jobs run elsewhere,
    so a relative path would lead nowhere.
    """
    if config.reco.asetup_input is not None:
        return str(Path(config.reco.asetup_input).absolute())
    for directory in (install, install.parent, install.parent / "calypso"):
        if (directory / _ASETUP).is_file():
            return str(directory / _ASETUP)
    raise InputError(
        f"{install}: no {_ASETUP} in this Calypso installation or above it",
        f"set reco.asetup_input to {_ASETUP} of Calypso's sources",
    )


def _local_root_base(install: Path) -> str:
    """Return the installation's own ATLASLocalRootBase when it brings one, else CVMFS's."""
    own = install / _OWN_ALRB
    return str(own) if (own / "user" / "atlasLocalSetup.sh").is_file() else _CVMFS_ALRB


def find_env_script(workspace: Workspace, config: Config) -> str:
    """Return the environment script's text: the workspace's copy, the configured one, or a new one.

    The copy wins, so that an alignment goes on with what it was begun with.
    """
    copy = _read(workspace.env_script)
    return configured_env_script(config) if copy is None else copy


def configured_env_script(config: Config) -> str:
    """Return the text of the configured environment script, or of a new one where it is missing."""
    text = _read(config.paths.env_script)
    return env_script_text(config) if text is None else text


def _read(path: Path) -> str | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as an environment script: {error}") from None
    if not text.strip():
        raise InputError(f"{path}: the environment script is empty", "fill it or remove it")
    return text


def overruled_calypso(config: Config, *scripts: Path) -> str | None:
    """Return a remark where the first of `scripts` that is there does not name the Calypso given.

    The script wins; who gave a Calypso should know.
    """
    install = config.paths.calypso_install
    text, script = next(((text, path) for path in scripts if (text := _read(path))), (None, None))
    if install is None or text is None:
        return None
    if any(str(name) in text for name in (install, install.absolute(), install.resolve())):
        return None
    return (
        f"{script} is there and is used as it is, though it does not name {install} "
        f"(paths.calypso_install); to have one made for that, move it away"
    )


def install_env_script(workspace: Workspace, config: Config) -> None:
    """Put the environment script into the workspace, and where it was looked for and missing."""
    text = find_env_script(workspace, config)
    if not config.paths.env_script.exists() and not workspace.env_script.exists():
        write_atomically(config.paths.env_script, text, mode=0o755)
    if not workspace.env_script.exists():
        write_atomically(workspace.env_script, text, mode=0o755)
