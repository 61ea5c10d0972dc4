from django.core.files.storage import default_storage
from django.http import JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST

from djust_uploads import UploadError, receipts


@ensure_csrf_cookie
def gallery(request):
    # Only who uploaded a file may use its receipt. Nobody logs in here, so everybody needs a
    # session.
    if not request.session.session_key:
        request.session.create()
    return render(request, "photos.html")


@require_POST
async def add_photo(request):
    """Turn the receipt of an upload into a photo of the gallery, and say where the photo is."""
    try:
        entry = await receipts.consume(request.POST.get("receipt", ""), request, slot="photos")
    except UploadError as error:
        return JsonResponse({"error": error.message}, status=400)
    if entry.keeps_file:
        url, where = entry.file.url, f"{entry.file.metadata['key']} in the bucket"
    else:
        path = await entry.asave(f"gallery/{entry.client_name}")
        url, where = default_storage.url(path), f"{path} in the default storage"
    return JsonResponse({"name": entry.client_name, "url": url, "where": where})
