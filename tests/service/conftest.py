"""The simulated detector of the integration tests."""

from tests.integration.conftest import one_file, one_iteration, reconstructed, simulated

__all__ = ["one_file", "one_iteration", "reconstructed", "simulated"]
