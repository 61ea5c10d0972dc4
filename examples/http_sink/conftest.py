import django
from django.conf import settings

if not settings.configured:
    settings.configure(INSTALLED_APPS=["djust_uploads"])
    django.setup()
