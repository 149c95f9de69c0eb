"""scikit-learn's own checks pass, although scikit-learn is never imported."""

import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import check_estimator

from service import LogisticRegression

# It needs SCIPY_ARRAY_API and arrays of other libraries; this estimator computes with NumPy's only.
NOT_APPLICABLE = {"check_array_api_input"}


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose, and catch those that they look for
def test_scikit_learns_checks_pass() -> None:
    """Every check of ``check_estimator`` passes; the one that does not apply is the only one skipped."""
    results = check_estimator(LogisticRegression(), on_skip=None, on_fail=None)

    by_status = {
        status: {result["check_name"] for result in results if result["status"] == status}
        for status in ("failed", "xfail", "skipped")
    }
    assert by_status == {"failed": set(), "xfail": set(), "skipped": NOT_APPLICABLE}
    assert len(results) > 40


def test_importing_the_package_imports_no_heavy_library() -> None:
    """The package loads NumPy, and neither scikit-learn, SciPy, pandas nor FastAPI."""
    program = "import sys; from service import LogisticRegression; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "numpy" in loaded
    assert not {"sklearn", "scipy", "pandas", "fastapi"} & set(loaded)
