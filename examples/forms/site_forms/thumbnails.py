"""Makes a thumbnail of each new picture, when the member who has it is really saved."""

from functools import partial

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Member

try:
    from django.tasks import task
except ImportError:
    # Django 5.2 has no tasks: the thumbnail is made at once.
    def task(function):
        function.enqueue = function
        return function


@receiver(post_save, sender=Member)
def member_saved(instance, **kwargs):
    if instance.avatar:
        # After a rollback there would be no such file.
        transaction.on_commit(partial(make_thumbnail.enqueue, instance.avatar.name))


@task
def make_thumbnail(name):
    import io

    from PIL import Image

    thumbnail = f"{name}.thumbnail.png"
    if default_storage.exists(thumbnail):
        return
    content = io.BytesIO()
    with default_storage.open(name) as file, Image.open(file) as image:
        image.thumbnail((96, 96))
        image.convert("RGB").save(content, "PNG")
    default_storage.save(thumbnail, ContentFile(content.getvalue()))
