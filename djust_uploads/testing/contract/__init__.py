"""What a sink promises, as tests. They need pytest, and nothing else: no plugin, no async tests.

::

    class TestTemporaryFileSink(SinkContract):
        @pytest.fixture
        def sink(self, tmp_path):
            self.folder = tmp_path
            return TemporaryFileSink(tmp_path)

        def leftovers(self, sink):
            return [path.name for path in self.folder.iterdir()]

Every test uses a new sink on an event loop of its own. Each failure says what to mend.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from .damage import Damage
from .ends import Ends
from .faults import Faults
from .orders import Orders
from .reading import Reading
from .replacing import Replacing
from .resources import Resources
from .storing import Storing
from .sweeping import Sweeping

__all__ = ["SinkContract"]


# pytest runs the tests of the last base class first: the simplest fault is reported first.
class SinkContract(Orders, Resources, Damage, Faults, Replacing, Sweeping, Ends, Reading, Storing):
    """The tests that every sink must pass.

    Subclass it, give the subclass a name that begins with ``Test``, and define the fixture
    ``sink``. The other hooks and attributes are those of :class:`~.harness.Harness`; each one makes
    the contract see more. What a sink does with its store's errors is tested only if
    ``failing_store()`` says how to cause one.
    """

    #: The tests that the class leaves out because a hook is missing.
    _left_out: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        before, cls._left_out = cls._left_out, frozenset(_without_hook(cls))
        # pytest does not collect a test that is None. What cannot be asked of a sink is not one of
        # its tests, so it is not reported as skipped.
        for name in cls._left_out:
            setattr(cls, name, None)
        # A base class of several contracts may lack a hook that its subclasses have.
        for name in before - cls._left_out:
            setattr(cls, name, getattr(SinkContract, name))


def _without_hook(contract: type[SinkContract]) -> Iterator[str]:
    """Yield the names of tests for which a contract has not overridden the hook that they need."""
    fails = contract.failing_store is not SinkContract.failing_store
    if not fails:
        yield "test_the_store_fails_during"
        yield "test_a_store_that_fails_takes_nothing"
        yield "test_each_call_tells_of_the_same_failure"
    if not fails and contract.losing_answers is SinkContract.losing_answers:
        yield "test_an_answer_is_lost_during"
    if contract.refusing_store is SinkContract.refusing_store:
        yield "test_a_refusal_is_no_outage"
        yield "test_the_store_refuses_during"
    if contract.damage_store is SinkContract.damage_store:
        yield "test_damage_is_found_by_the_writer"
        yield "test_damage_is_found_by_resume"
    if contract.store_something_else is SinkContract.store_something_else:
        yield "test_sweep_spares_what_others_stored"
    if not contract.sweeps_unconsumed:
        yield "test_sweep_takes_what_was_never_consumed"
