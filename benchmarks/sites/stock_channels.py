"""A stock Channels consumer that drops what it receives."""

from __future__ import annotations

from django.conf import settings

settings.configure(ALLOWED_HOSTS=["127.0.0.1"])

from channels.generic.websocket import AsyncWebsocketConsumer

from benchmarks.meter import metered
from benchmarks.sites.bare import ENDING, answer_to, answer_to_ending


class Consumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.send(text_data='{"type": "mount"}')

    async def receive(self, text_data=None, bytes_data=None):
        if text_data:
            await self.send(text_data=answer_to(text_data))
        elif len(bytes_data) == ENDING:
            await self.send(text_data=answer_to_ending(bytes_data))


application = metered(Consumer.as_asgi())
