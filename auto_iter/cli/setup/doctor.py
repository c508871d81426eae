"""`auto-iter doctor`: is all there that an alignment needs, and what to do where it is not."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict

from auto_iter.cli.command import command
from auto_iter.cli.options import AS_JSON, CONFIG, SET


@command(CONFIG, SET, AS_JSON)
def doctor(arguments: argparse.Namespace) -> int:
    """Check HTCondor, data, Calypso, pede and disk, and say what to do.

    Check what an alignment needs here, and say what to do where it is missing.

    exit codes:
      0 all that is needed is there, 1 something is missing
    """
    from auto_iter.config.file import load_config
    from auto_iter.config.resolve import with_absolute_paths
    from auto_iter.doctor.checks import examine, is_healthy
    from auto_iter.doctor.job_environment import examine_job_environment

    config = with_absolute_paths(load_config(arguments.config, arguments.overrides, os.environ))
    findings = [*examine(config, os.environ), *examine_job_environment(config, os.environ)]
    if arguments.json:
        told = [asdict(finding) for finding in findings]
        print(json.dumps({"is_ready": is_healthy(findings), "checks": told}, indent=2))
        return 0 if is_healthy(findings) else 1
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.health:8} {finding.subject:{width}}  {finding.text}")
        if finding.remedy:
            print(f"{'':8} {'':{width}}  → {finding.remedy}")
    return 0 if is_healthy(findings) else 1
