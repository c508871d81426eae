"""What the daemon asks for is what its worker reads."""

from __future__ import annotations

import json
import math
from pathlib import Path

from auto_iter.alignment.model import Stage
from auto_iter.config.cuts import TrackCuts
from auto_iter.config.schema import Config
from auto_iter.millepede.requests import ConvertRequest, SolveRequest
from auto_iter.millepede.results import NO_FILE, ConversionRecord
from auto_iter.workspace.hashes import is_intact, sealed

NO_CUT = TrackCuts(max_chi2=math.inf, max_pz_gev=math.inf, max_residual_mm=math.inf)


def test_limits_that_are_infinite_arrive() -> None:
    config = Config.model_validate(
        {"millepede": {"max_shift_mm": math.inf, "max_rotation_rad": math.inf}}
    )
    places = {"directory": Path("d"), "previous": Path("p")}
    request = SolveRequest.of(Stage(iteration=1), config, (), {}, **places)
    read = SolveRequest.model_validate_json(request.model_dump_json())
    assert read == request
    assert (read.max_shift_mm, read.max_rotation_rad) == (math.inf, math.inf)


def test_cuts_that_cut_nothing_arrive() -> None:
    request = ConvertRequest(sources=(), cuts=NO_CUT)
    assert ConvertRequest.model_validate_json(request.model_dump_json()) == request


def test_a_conversion_record_tells_cuts_that_cut_nothing() -> None:
    record = sealed(ConversionRecord(number=1, root="r", source=NO_FILE, cuts=NO_CUT))
    text = record.model_dump_json()
    assert ConversionRecord.model_validate_json(text) == record
    assert is_intact(json.loads(text))
    assert json.loads(text)["cuts"] == NO_CUT.model_dump(mode="json")
