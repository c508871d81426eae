"""What a schedd, or HTCondor's client library here, says when it fails, as our errors. Pure."""

from __future__ import annotations

import os
import re

from auto_iter.batch.htcondor.schedd.protocol import RefusedError, SandboxError, WriteError
from auto_iter.errors import (
    CredentialsError,
    InputError,
    LimitError,
    PermanentError,
    TransientError,
)

_FOR_GOOD = ("Failed to create job ad", "Submit:-1:", "Cannot set ", "Unable to parse")
_NOT_WRITTEN = re.compile(r"writing to file (?P<path>.+?): \(errno (?P<number>\d+)\)")
_NOT_READ = re.compile(r"reading from file (?P<path>.+?): \(errno (?P<number>\d+)\)")
_TOO_MANY = re.compile(r"expected next ProcId to be \d+, but Schedd says (?P<number>-\d+)")
_IN_THE_QUEUE, _OF_AN_OWNER, _IN_A_SUBMISSION = "-2", "-3", "-4"
"""The schedd's answers to one job too many (NEWJOB_ERR_... in its sources)."""
_LIMITS = {
    _IN_THE_QUEUE: ("jobs in its queue", "htcondor.max_jobs_in_queue"),
    _OF_AN_OWNER: ("jobs of an owner", "htcondor.max_jobs_in_queue"),
    _IN_A_SUBMISSION: ("jobs in one submission", "htcondor.max_jobs_per_submission"),
}
_REFUSED = "Unable to commit transaction"
_SUBMISSIONS = frozenset({"submit", "submit_dag"})
_CREDENTIAL = re.compile(r"credential|credmon|kerberos|krb5", re.IGNORECASE)
_DENIED = (
    "AUTHENTICATE",
    "authenticat",
    "DENIED",
    "ermission denied",
    "not authorized",
    "Error when performing action",  # all that is said of a change that was not allowed
)


def refusal(
    call: str, kind: str, message: str, schedd: str
) -> TransientError | PermanentError | None:
    """Return what an answer amounts to where something other than the schedd's health is wrong.

    `kind` is that of `calls.Calls.answer`.
    """
    if kind == "missing":
        return InputError(
            f"HTCondor's Python bindings are not installed ({message})",
            "pip install 'htcondor>=24.12.20,<26', or set batch.system=local",
        )
    if _lacks_credential(call, kind, message):
        return CredentialsError(
            f"schedd {schedd} has no credential for the jobs yet: {message} (kinit; a first "
            "submission may come too early)"
        )
    limit = _TOO_MANY.search(message)
    if limit is not None and limit["number"] in _LIMITS:
        what, setting = _LIMITS[limit["number"]]
        return LimitError(
            f"schedd {schedd} allows fewer {what} (see {setting})",
            is_for_good=limit["number"] == _IN_A_SUBMISSION,
        )
    if call == "submit" and (limit is not None or _REFUSED in message):
        return RefusedError(f"schedd {schedd} refuses the jobs: {message}")
    # A new process cannot spool what the one before submitted: that is found by its key.
    is_misuse = kind == "misuse" and call not in {"spool", "store_credential"}
    if is_misuse or (call == "submit" and any(text in message for text in _FOR_GOOD)):
        return InputError(
            f"HTCondor refuses to {call}: {message}",
            "check the htcondor section of the configuration, htcondor.extra above all",
        )
    return _about_files(call, message)


def _lacks_credential(call: str, kind: str, message: str) -> bool:
    """Tell whether jobs were refused for want of a credential, which may be there later."""
    return kind == "condor" and call in _SUBMISSIONS and _CREDENTIAL.search(message) is not None


def _about_files(call: str, message: str) -> TransientError | None:
    unread, unwritten = _NOT_READ.search(message), _NOT_WRITTEN.search(message)
    if call == "spool" and unread is not None:
        why = os.strerror(int(unread["number"]))
        return RefusedError(f"{unread['path']}: the input of the jobs cannot be sent: {why}")
    if "receiveJobSandbox" not in message:
        return None
    if unwritten is not None:
        return WriteError(unwritten["path"], int(unwritten["number"]))
    return None if unread is None else SandboxError(message)


def explained(call: str, kind: str, message: str) -> str:
    """Return a message about the schedd's health with what a person can look at."""
    if call == "store_credential":
        return (
            f"the credential for jobs cannot be stored: {message} (kinit, and is "
            "SEC_CREDENTIAL_PRODUCER set?)"
        )
    if kind == "unknown":
        message += (
            ": a wrong name, or it has been away for a while; when it is gone for good, "
            "`auto-iter resume --abandon-schedd` leaves it behind"
        )
    if any(text in message for text in _DENIED):
        message += " (is the Kerberos ticket valid? `auto-iter doctor` tells more)"
    return message
