"""What all tests share: the local recordings, and how tests spread over processes."""

from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

settings.register_profile("default", deadline=None)
settings.load_profile("default")


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
