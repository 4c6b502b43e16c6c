"""Pages out of templates: once for each language, and what of a request all of them need."""

from __future__ import annotations

import gettext
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from dashboard.labels import LABELS
from dashboard.text import FILTERS, span
from dashboard.words import request_words, seed_words, thread_of, told

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(__file__).parent
LANGUAGES = {"en": "English", "zh": "中文"}
THEMES = ("auto", "light", "dark")
LANGUAGE_COOKIE, THEME_COOKIE = "tieba-language", "tieba-theme"


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Answer with a page."""
    app = request.app.state
    language = language_of(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    is_login = request.state.session.is_login
    # Not for strangers: an error of an open address is a page as well.
    known = {"live": app.live.fragments(language)} if is_login else {}
    text = (
        templates(language)
        .get_template(template)
        .render(
            language=language,
            languages=LANGUAGES,
            status_code=status,
            theme=theme if theme in THEMES else THEMES[0],
            themes=THEMES,
            token=request.state.form_token,
            is_login=is_login,
            path=request.url.path,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            job=app.settings.crawler.job,
            **known,
            is_stock=is_stock(request),
            **values,
        )
    )
    return HTMLResponse(text, status)


def is_stock(request: Request) -> bool:
    """Tell whether workers use the scheduler of scrapy-redis, whose queue cannot be looked into."""
    return bool(request.app.state.settings.crawler.scheduler == "scrapy_redis")


def language_of(request: Request) -> str:
    """Give the language that was chosen here, or the first that the browser prefers and we have."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else preferred(request.headers.get("accept-language", ""))


def preferred(header: str) -> str:
    """Give the language that an Accept-Language header prefers (RFC 9110, 12.5.4), else English."""
    wishes = []
    for part in header[:1000].split(","):
        name, _, quality = part.strip().partition(";q=")
        try:
            wishes.append((-float(quality or 1), name.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((name for _, name in sorted(wishes, key=lambda wish: wish[0]) if name in LANGUAGES), "en")


@lru_cache
def catalog_of(language: str) -> gettext.NullTranslations:
    """Give the texts of a language."""
    return gettext.translation("dashboard", FOLDER / "locale", [language], fallback=language == "en")


@lru_cache
def templates(language: str) -> Environment:
    """Give the templates in a language."""
    environment = Environment(
        loader=PackageLoader("dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalog = catalog_of(language)
    environment.install_gettext_translations(catalog, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= FILTERS
    environment.filters["label"] = lambda name: catalog.gettext(LABELS[name]) if name in LABELS else name
    environment.filters["request"] = lambda request: request_words(request, catalog)
    environment.filters["seed"] = lambda seed: seed_words(seed, catalog)
    environment.filters["thread"] = thread_of
    environment.filters["span"] = lambda seconds: told(span(seconds), catalog)
    environment.filters["told"] = lambda text: told(text, catalog)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    environment.globals["static"] = _static
    return environment


@lru_cache
def _static(path: str) -> str:
    """Give the address of a file; it changes with what is in it, so that browsers can keep it for good."""
    digest = hashlib.sha256((FOLDER / "static" / path).read_bytes()).hexdigest()
    return f"/static/{path}?v={digest[:12]}"
