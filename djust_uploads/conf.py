"""``sinks``: the sinks that are configured in ``DJUST_UPLOADS["SINKS"]``, by their aliases.

The other settings are in :mod:`djust_uploads.settings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from .exceptions import InvalidSink
from .settings import upload_settings

if TYPE_CHECKING:
    from .sinks.base import Sink

DEFAULT_ALIAS = "default"
DEFAULT_BACKEND = "djust_uploads.sinks.TemporaryFileSink"


class SinkHandler:
    """Maps aliases to sinks, as Django's ``storages`` maps aliases to storages.

    There is one instance of a sink for each alias and process. It is created when it is first used.
    """

    def __init__(self) -> None:
        self._sinks: dict[str, Sink] = {}

    def aliases(self) -> list[str]:
        """Return the configured aliases and ``"default"``, sorted."""
        return sorted({DEFAULT_ALIAS, *upload_settings().sinks})

    def __iter__(self) -> Iterator[str]:
        return iter(self.aliases())

    def __contains__(self, alias: str) -> bool:
        return alias in self.aliases()

    def __getitem__(self, alias: str) -> Sink:
        """Return the sink that is configured as ``alias``.

        Raises :class:`~djust_uploads.exceptions.InvalidSink` for an alias that is not configured, a
        backend that cannot be imported, and an option that the backend does not accept.
        """
        if alias not in self._sinks:
            self._sinks[alias] = self._create(alias)
        return self._sinks[alias]

    def _create(self, alias: str) -> Sink:
        from .sinks.base import Sink

        if alias not in self:
            raise InvalidSink(
                f"There is no upload sink {alias!r} in DJUST_UPLOADS['SINKS']. "
                f"Configured: {', '.join(self.aliases())}."
            )
        params = upload_settings().sinks.get(alias, {"BACKEND": DEFAULT_BACKEND})
        if not isinstance(params, Mapping):
            raise InvalidSink(f"The upload sink {alias!r} must be a dictionary. Got: {params!r}")
        try:
            backend = import_string(params["BACKEND"])
        except KeyError:
            raise InvalidSink(f"The upload sink {alias!r} has no 'BACKEND'.") from None
        except ImportError as exc:
            raise InvalidSink(f"The upload sink {alias!r} can't be imported: {exc}") from exc
        try:
            sink = backend(**params.get("OPTIONS", {}))
        except (TypeError, ValueError) as exc:
            raise InvalidSink(f"The upload sink {alias!r} has a wrong option: {exc}") from exc
        if not isinstance(sink, Sink):
            raise InvalidSink(f"The upload sink {alias!r} is not a Sink. Got: {sink!r}")
        return sink

    def resolve(self, sink: str | Sink | None) -> Sink:
        """Return the sink that an alias or an instance means. ``None`` means ``"default"``."""
        if sink is None:
            return self[DEFAULT_ALIAS]
        return self[sink] if isinstance(sink, str) else sink

    def clear(self) -> None:
        """Forget the instances. They are created again from the settings when they are used."""
        self._sinks.clear()


sinks: SinkHandler = SinkHandler()


def _reset(*, setting: str, **kwargs: Any) -> None:
    if setting == "DJUST_UPLOADS":
        sinks.clear()


setting_changed.connect(_reset)
