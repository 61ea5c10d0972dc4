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

from .ends import Ends
from .processes import Processes
from .storing import Storing

__all__ = ["SinkContract"]


class SinkContract(Storing, Ends, Processes):
    """Subclass it, name the subclass ``Test…``, and give it the fixture ``sink``.

    What else it can be told: ``part_size``, ``resumable``, ``sweeps_unconsumed``, ``leftovers()``,
    ``failing_store()`` and ``another_process()``.
    """
