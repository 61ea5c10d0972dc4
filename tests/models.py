"""Models with files, as an application has them."""

from django.db import models


class Picture(models.Model):
    image = models.ImageField(upload_to="pictures", width_field="width", height_field="height")
    width = models.IntegerField(default=0)
    height = models.IntegerField(default=0)


class Document(models.Model):
    file = models.FileField(upload_to="documents", blank=True)


class Attachment(models.Model):
    document = models.ForeignKey(Document, models.CASCADE)
    name = models.CharField(max_length=10, blank=True)
    file = models.FileField(upload_to="attachments")
