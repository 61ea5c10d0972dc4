"""The ways in: what parses a client's messages and answers them. A door decides nothing.

``messages`` is what every door over a WebSocket shares. ``channels`` is the door for plain Django
Channels, ``liveview`` the one for djust; nothing else in the package knows djust. ``mixin`` is what
an application's view or consumer declares and calls, and ``handlers`` runs its event handlers.
"""
