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
from .faults import Faults
from .orders import Orders
from .reading import Reading
from .resources import Resources
from .resuming import Resuming
from .storing import Storing
from .sweeping import Sweeping

__all__ = ["SinkContract"]


# pytest runs the tests of the last base class first: the simplest fault is reported first.
class SinkContract(Orders, Resources, Faults, Resuming, Sweeping, Ends, Reading, Storing):
    """The tests that every sink must pass.

    Subclass it, give the subclass a name that begins with ``Test``, and define the fixture
    ``sink``. The other hooks and attributes are those of :class:`~.harness.Harness`; each one makes
    the contract see more. What a sink does with its store's errors is tested only if
    ``failing_store()`` says how to cause one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        left_out: list[str] = []
        fails = cls.failing_store is not SinkContract.failing_store
        if not fails:
            left_out += ["test_the_store_fails_during", "test_a_store_that_fails_takes_nothing"]
        if not fails and cls.losing_answers is SinkContract.losing_answers:
            left_out.append("test_an_answer_is_lost_during")
        if cls.refusing_store is SinkContract.refusing_store:
            left_out.append("test_a_refusal_is_no_outage")
        if cls.store_something_else is SinkContract.store_something_else:
            left_out.append("test_sweep_spares_what_others_stored")
        if not cls.sweeps_unconsumed:
            left_out.append("test_sweep_takes_what_was_never_consumed")
        # pytest does not collect a test that is None. What cannot be asked of a sink is not one of
        # its tests, so it is not reported as skipped.
        for name in left_out:
            setattr(cls, name, None)
