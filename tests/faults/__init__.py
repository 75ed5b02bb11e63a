import pytest

# Their asserts are to show what they compared, as those of the tests do.
pytest.register_assert_rewrite("tests.processes.audit", "tests.processes.scene")
