"""The network tests, in namespaces that they make."""

import pytest

FAMILIES = pytest.mark.parametrize("family", ["4", "6"], ids=["v4", "v6"])
