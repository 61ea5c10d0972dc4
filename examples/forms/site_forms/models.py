from django.db import models


class Member(models.Model):
    name = models.CharField(max_length=50)
    avatar = models.ImageField(upload_to="avatars", blank=True)

    def __str__(self):
        return self.name


class Attachment(models.Model):
    member = models.ForeignKey(Member, models.CASCADE, related_name="attachments")
    file = models.FileField(upload_to="attachments")

    def __str__(self):
        return self.file.name
