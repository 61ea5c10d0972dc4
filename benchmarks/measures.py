"""What was measured, and what it comes to. Numbers only."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

MB = 1_000_000
GB = 1_000_000_000


@dataclass(frozen=True, order=True)
class Work:
    """What each contender has to do."""

    #: Bytes of the file in one frame; 0 where nobody sends frames.
    chunk_size: int
    #: How many uploads at once.
    uploads: int
    #: Bytes of all uploads together.
    size: int


@dataclass(frozen=True)
class Measure:
    """One contender's work in one round."""

    contender: str
    work: Work
    round: int
    seconds: float
    #: CPU seconds of the process that is measured, all its threads.
    cpu: float
    #: Resident bytes of that process: at most, and after its first small upload.
    peak: int
    idle: int
    #: Seconds, 99th percentile.
    lag: float | None = None
    #: CPU seconds of the client; SDKs have none.
    client_cpu: float | None = None
    #: Seconds until the first and until the last upload was complete.
    each: tuple[float, float] | None = None

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.work.size / MB / self.seconds

    @property
    def client_share(self) -> float | None:
        """Of one core, in percent."""
        return 100 * self.client_cpu / self.seconds if self.client_cpu is not None else None

    @property
    def cpu_per_gb(self) -> float:
        return self.cpu / self.work.size * GB

    @property
    def lag_ms(self) -> float | None:
        return 1000 * self.lag if self.lag is not None else None

    @property
    def growth(self) -> float:
        """MB."""
        return max(0, self.peak - self.idle) / MB

    @property
    def unfairness(self) -> float | None:
        """How many times longer the slowest upload took than the fastest."""
        return self.each[1] / self.each[0] if self.each else None


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread | None:
        """``None`` if there are no values."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(statistics.median(known), min(known), max(known))


@dataclass(frozen=True)
class Results:
    """The measures of one group. A ratio compares two measures of one round, so that a machine that
    slows down slows both."""

    measures: Sequence[Measure]
    #: The contender whose rate is 1.0.
    baseline: str
    #: What the disk had no room for.
    skipped: Sequence[Work] = ()

    def works(self) -> list[Work]:
        return list(dict.fromkeys(measure.work for measure in self.measures))

    def contenders(self) -> list[str]:
        return list(dict.fromkeys(measure.contender for measure in self.measures))

    def of(self, contender: str, work: Work) -> list[Measure]:
        """By round."""
        found = [m for m in self.measures if (m.contender, m.work) == (contender, work)]
        return sorted(found, key=lambda measure: measure.round)

    def spread(
        self, contender: str, work: Work, value: Callable[[Measure], float | None]
    ) -> Spread | None:
        return Spread.of(value(measure) for measure in self.of(contender, work))

    def ratio(self, contender: str, work: Work, baseline: str = "") -> Spread | None:
        """The contender's rate over the baseline's."""
        others = self.of(baseline or self.baseline, work)
        pairs = zip(self.of(contender, work), others, strict=False)
        return Spread.of(ours.rate / other.rate for ours, other in pairs)

    def change(self, contender: str, work: Work, other: Work) -> Spread | None:
        """The contender's rate on a work over its own on another."""
        pairs = zip(self.of(contender, work), self.of(contender, other), strict=False)
        return Spread.of(one.rate / another.rate for one, another in pairs)
