"""All samples, drawn once."""

import pytest

from sightline.demo.samples import Samples, draw_samples


@pytest.fixture(scope="session")
def samples() -> Samples:
    return draw_samples(1)
