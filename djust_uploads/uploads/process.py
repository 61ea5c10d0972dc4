"""``parking``: the resumable uploads, which all connections of one process share."""

from __future__ import annotations

from ..resuming.parking import Parking
from ..transfer.transfer import Transfer

#: The resumable uploads of this process, with a connection or without one.
parking: Parking[Transfer] = Parking()
