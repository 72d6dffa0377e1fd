"""A Django site, as ``test_wsgi_applications.py`` mounts it. It has what ``flask_site.py`` has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django import setup
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, reverse

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__,
        SECRET_KEY="a key",
        ALLOWED_HOSTS=["*"],
        LOGGING_CONFIG=None,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        INSTALLED_APPS=["django.contrib.sessions", "django.contrib.messages"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
    )
    setup(set_prefix=False)

#: What its views have done.
told: list[str] = []


def seen(request: HttpRequest, rest: str) -> HttpResponse:
    found = {
        "rest": rest,
        "prefix": request.META["SCRIPT_NAME"],
        "path": request.path_info,
        "q": request.GET.get("q"),
        "url": request.build_absolute_uri(),
        "link": reverse("size"),
        "user": request.headers.get("X-User"),
    }
    return HttpResponse(json.dumps(found), content_type="application/json")


def size(request: HttpRequest) -> HttpResponse:
    total = 0
    while chunk := request.read(1000):
        if not total:
            told.append(f"got {chunk[:5].decode()}")
        total += len(chunk)
    return HttpResponse(str(total))


def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.POST['a']} {request.FILES['file'].read().decode()}")


def ticks(request: HttpRequest) -> StreamingHttpResponse:
    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick" * 1000
        finally:
            told.append("closed")

    return StreamingHttpResponse(endless())


def half(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        yield b"half of it"
        raise ZeroDivisionError

    return StreamingHttpResponse(pieces())


def count(request: HttpRequest) -> JsonResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse(request.session["count"], safe=False)


def error(request: HttpRequest) -> Any:
    raise ZeroDivisionError


urlpatterns = [
    path("seen/<path:rest>", seen),
    path("size", size, name="size"),
    path("form", form),
    path("ticks", ticks),
    path("half", half),
    path("count", count),
    path("error", error),
]
wsgi = get_wsgi_application()
