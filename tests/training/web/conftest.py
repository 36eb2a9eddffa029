"""An exported toy student, built into a page."""

from pathlib import Path

import pytest

from training.web.build import BuildError, build_page, fetch_vendor


@pytest.fixture(scope="session")
def site(export, tmp_path_factory) -> Path:
    """The page's folder."""
    try:
        fetch_vendor()
    except BuildError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("site")
    build_page(export, folder, fp32=True)
    return folder
