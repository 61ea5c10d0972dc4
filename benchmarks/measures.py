"""The measurements, and the figures that are computed from them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

MB = 1_000_000
GB = 1_000_000_000


@dataclass(frozen=True, order=True)
class Work:
    """What each contender has to do."""

    #: Bytes of the file in one frame, or 0 if there are no frames.
    chunk_size: int
    #: How many uploads run at once.
    uploads: int
    #: Bytes of all uploads together.
    size: int


@dataclass(frozen=True)
class PageFigures:
    """What a page spends while it uploads, and how soon it answers."""

    #: Seconds for which the page's thread was busy.
    thread: float
    #: Seconds of its longest task; 0 if none took 50 ms.
    longest_task: float
    #: Bytes of the page's heap after the upload, over those before.
    heap: float
    #: Resident bytes of the tab's process, at most.
    tab: int
    #: Seconds until the page has handled an input, at most.
    slowest_input: float
    #: Seconds until the server has answered an event of the page, at most.
    slowest_answer: float | None


@dataclass(frozen=True)
class Measure:
    """The measurement of one contender's work in one round."""

    contender: str
    work: Work
    round: int
    seconds: float
    #: CPU seconds of the measured process, with all its threads.
    cpu: float
    #: The most resident bytes of the measured process.
    peak: int
    #: The resident bytes of the process after its first small upload.
    idle: int
    #: The 99th percentile of the event loop's lag in seconds.
    lag: float | None = None
    #: CPU seconds of the client. An SDK has no client.
    client_cpu: float | None = None
    #: Seconds until the first upload was complete, and until the last one was.
    each: tuple[float, float] | None = None
    #: What the page spent, if the client was a page.
    page: PageFigures | None = None

    @property
    def rate(self) -> float:
        """The rate in MB/s."""
        return self.work.size / MB / self.seconds

    @property
    def client_share(self) -> float | None:
        """How busy the client was, in percent of one core."""
        return 100 * self.client_cpu / self.seconds if self.client_cpu is not None else None

    @property
    def cpu_per_gb(self) -> float:
        return self.cpu / self.work.size * GB

    @property
    def lag_ms(self) -> float | None:
        return 1000 * self.lag if self.lag is not None else None

    @property
    def growth(self) -> float:
        """By how many MB the memory has grown."""
        return max(0, self.peak - self.idle) / MB

    @property
    def unfairness(self) -> float | None:
        """How many times as long the slowest upload took as the fastest one."""
        return self.each[1] / self.each[0] if self.each else None

    @property
    def thread_share(self) -> float | None:
        """How busy the page's thread was, in percent."""
        return 100 * self.page.thread / self.seconds if self.page else None


@dataclass(frozen=True)
class Spread:
    """The median, the lowest and the highest value of all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of the values, or ``None`` if there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(statistics.median(known), min(known), max(known))


@dataclass(frozen=True)
class Results:
    """The measurements of one group.

    A ratio compares two measurements of the same round. If the machine becomes slower, it affects
    both.
    """

    measures: Sequence[Measure]
    #: The contender whose rate is 1.0.
    baseline: str
    #: The works for which the disk had no room.
    skipped: Sequence[Work] = ()

    def works(self) -> list[Work]:
        return list(dict.fromkeys(measure.work for measure in self.measures))

    def contenders(self) -> list[str]:
        return list(dict.fromkeys(measure.contender for measure in self.measures))

    def of(self, contender: str, work: Work) -> list[Measure]:
        """Return a contender's measurements of a work, in the order of the rounds."""
        found = [m for m in self.measures if (m.contender, m.work) == (contender, work)]
        return sorted(found, key=lambda measure: measure.round)

    def spread(
        self, contender: str, work: Work, value: Callable[[Measure], float | None]
    ) -> Spread | None:
        return Spread.of(value(measure) for measure in self.of(contender, work))

    def ratio(self, contender: str, work: Work, baseline: str = "") -> Spread | None:
        """Return the ratio of the contender's rate to the baseline's rate."""
        others = self.of(baseline or self.baseline, work)
        pairs = zip(self.of(contender, work), others, strict=False)
        return Spread.of(ours.rate / other.rate for ours, other in pairs)

    def change(self, contender: str, work: Work, other: Work) -> Spread | None:
        """Return the ratio of the contender's rate on one work to its rate on another work."""
        pairs = zip(self.of(contender, work), self.of(contender, other), strict=False)
        return Spread.of(one.rate / another.rate for one, another in pairs)
