"""What requests are for, what crawls start from, and what the crawler tells, in the words of a language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tieba.pages import CommentPage, ForumPage, ThreadComments, ThreadPage, target_from_list
from tieba.phrases import Phrase
from tieba.wording import request_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from gettext import NullTranslations

    from tieba.pages import Target


def told(text: str, catalog: NullTranslations) -> str:
    """Give a text in the language, if it is one that can be, with those that it is made of."""
    if not isinstance(text, Phrase):
        return text
    template = catalog.gettext(text.template)
    values = {
        name: told(value, catalog) if isinstance(value, Phrase) else value
        for name, value in text.values.items()
    }
    return template % values if values else template


def target_of(request: object) -> Target | None:
    """Give what of the site a request is for; None for one that is for something else."""
    try:
        return target_from_list(request)
    except ValueError:
        return None


def thread_of(request: object) -> int | None:
    """Give the thread that a request is for."""
    target = target_of(request)
    return None if target is None or isinstance(target, ForumPage) else target.thread_id


def request_words(request: object, catalog: NullTranslations) -> str:
    """Say what a request is for."""
    match target_of(request):
        case ForumPage(forum, page):
            return catalog.gettext("forum %(forum)s, list page %(page)d") % {"forum": forum, "page": page}
        case ThreadPage(thread, page):
            return catalog.gettext("thread %(thread)d, page %(page)d") % {"thread": thread, "page": page}
        case ThreadComments(thread, page):
            text = catalog.gettext("comments of thread %(thread)d, page %(page)d")
            return text % {"thread": thread, "page": page}
        case CommentPage(_, post, page):
            return catalog.gettext("comments of post %(post)d, page %(page)d") % {"post": post, "page": page}
    return request_text(request)


def seed_words(seed: Mapping[str, Any], catalog: NullTranslations) -> str:
    """Say what a crawl starts from; the options are called as `tieba seed` has them."""
    forum, pages = seed.get("forum"), seed.get("pages")
    told = []
    if isinstance(pages, int):
        told.append(catalog.ngettext("%(num)d page", "%(num)d pages", pages) % {"num": pages})
    elif pages is not None:
        told.append(catalog.gettext("pages %(pages)s") % {"pages": pages})
    elif forum is not None:
        told.append(catalog.gettext("all pages"))
    told += [name for name in ("good", "starter", "update") if seed.get(name)]
    told += ["no-comments"] if seed.get("comments") is False else []
    told += [f"{name} {seed[name]}" for name in ("since", "until", "max_requests") if name in seed]
    what = forum or catalog.gettext("thread %(thread)s") % {"thread": seed.get("thread")}
    return f"{what} ({', '.join(told)})" if told else str(what)
