"""``XMLGuard``: refuses XML that a browser might run, while it arrives."""

from __future__ import annotations

from xml.parsers import expat

from django.utils.translation import gettext_lazy as _

from ..exceptions import ActiveContent


class XMLGuard:
    """Parses an XML file while it arrives, and refuses what a browser might run.

    Scripts may be anywhere in the file, and may be hidden behind entities and character references.
    So only a parser can find out that there are none. XML that is not well-formed is refused too,
    because parsers differ in how they go on after an error.
    """

    _ACTIVE_NAMESPACES = (
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1998/Math/MathML",
        "http://www.w3.org/1999/XSL/Transform",
    )
    # These bound the memory of the parser. It keeps a frame for each open element, every name that
    # it has read, and the bytes of an incomplete token, such as a tag with its attributes.
    _MAX_DEPTH = 200
    _MAX_NAMES = 10_000
    _MAX_TOKEN = 1024 * 1024

    def __init__(self) -> None:
        self._fed = 0
        self._depth = 0
        self._names: set[str] = set()
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.StartElementHandler = self._element
        self._parser.EndElementHandler = self._end
        self._parser.ProcessingInstructionHandler = self._instruction
        self._parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes, final: bool = False) -> None:
        """Parse the next bytes. ``final`` says that there are no more.

        Raises :class:`ActiveContent`. Blocks for about 10 ms for each megabyte.
        """
        self._fed += len(data)
        try:
            self._parser.Parse(data, final)
        # LookupError and ValueError mean that Python or expat cannot read the encoding.
        except (expat.ExpatError, LookupError, ValueError) as exc:
            raise ActiveContent(
                f"XML that can't be checked: {exc}", message=_("The XML file has an error in it.")
            ) from exc

        if self._fed - self._parser.CurrentByteIndex > self._MAX_TOKEN:
            raise ActiveContent("XML with a tag too long to check")

    def _element(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._names.update((name, *attributes))
        if self._depth > self._MAX_DEPTH or len(self._names) > self._MAX_NAMES:
            raise ActiveContent("XML with too deep elements or too many names")
        links = any(
            value.lstrip().lower().startswith("javascript:") for value in attributes.values()
        )
        if links or name.startswith(self._ACTIVE_NAMESPACES):
            raise ActiveContent(f"XML with <{name}>")

    def _end(self, name: str) -> None:
        self._depth -= 1

    def _instruction(self, target: str, data: str) -> None:
        if target.lower() == "xml-stylesheet":
            raise ActiveContent("XML with a stylesheet")

    def _entity(self, name: str, *args: object) -> None:
        raise ActiveContent(f"XML that declares the entity {name}")
