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
    """Subclass it, name the subclass ``Test…``, and give it the fixture ``sink``.

    What else it can be told: ``part_size``, ``resumable``, ``sweeps_unconsumed``, ``leftovers()``,
    ``failing_store()`` and ``another_process()``. What becomes of the store's errors is tested only
    where ``failing_store()`` says how to cause one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # pytest collects no test that is None: what can't be asked of a sink is not one of its
        # tests, and so none that is skipped.
        if cls.failing_store is SinkContract.failing_store:
            cls.test_the_store_fails_during = None  # type: ignore[assignment, method-assign]
            cls.test_finish_after_it_failed = None  # type: ignore[assignment, method-assign]
            cls.test_finish_after_flush_failed = None  # type: ignore[assignment, method-assign]
        if not cls.sweeps_unconsumed:
            cls.test_sweep_takes_what_was_never_consumed = None  # type: ignore[assignment, method-assign]
