"""What a sink promises, as tests. They need pytest, and nothing else: no plugin, no async tests.

::

    class TestFolderSink(SinkContract):
        @pytest.fixture
        def sink(self, tmp_path):
            self.folder = tmp_path
            return FolderSink(tmp_path)

        def leftovers(self, sink):
            return [path.name for path in self.folder.iterdir()]

Every test uses a new sink on an event loop of its own. Each failure says what to mend.
"""

from __future__ import annotations

from typing import Any

from .ends import Ends
from .resuming import Resuming
from .storing import Storing
from .sweeping import Sweeping

__all__ = ["SinkContract"]


class SinkContract(Storing, Ends, Resuming, Sweeping):
    """The tests that every sink must pass.

    Subclass it, give the subclass a name that begins with ``Test``, and define the fixture
    ``sink``. The subclass may also say ``part_size``, ``resumable`` and ``sweeps_unconsumed``, and
    define ``leftovers()``, ``failing_store()`` and ``another_process()``. What a sink does with its
    store's errors is tested only if ``failing_store()`` says how to cause one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        left_out: list[str] = []
        if cls.failing_store is SinkContract.failing_store:
            left_out += _NEEDING_A_FAILING_STORE
        if not cls.sweeps_unconsumed:
            left_out.append("test_sweep_takes_what_was_never_consumed")
        # pytest does not collect a test that is None. What cannot be asked of a sink is not one of
        # its tests, so it is not reported as skipped.
        for name in left_out:
            setattr(cls, name, None)


_NEEDING_A_FAILING_STORE = (
    "test_the_store_fails_during",
    "test_finish_after_it_failed",
    "test_finish_after_flush_failed",
)
