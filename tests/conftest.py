"""What all tests share: the local recordings, and how tests spread over processes."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

settings.register_profile("default", deadline=None)
settings.load_profile("default")


def pytest_collection_modifyitems(items):
    """Leave the tests that are marked ``long`` to ``make nightly``."""
    if os.environ.get("TICKWIRE_LONG"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: make nightly, or TICKWIRE_LONG=1"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of recordings that may not be published; a test that needs them skips without."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no recordings beside this tree: ../shared/data is missing")
    return SHARED_DATA


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file together, and all system tests in one process.

    A file's kernels are compiled or loaded once; two system tests never share the cores.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "tests/system" if path.startswith("tests/system/") else path

    return Scheduling(config, log)
