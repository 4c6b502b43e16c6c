"""What the page calls the things that have names of their own in the code; pages translates them."""

from __future__ import annotations


def _(text: str) -> str:
    """Mark a text for the catalogs of translations."""
    return text


LABELS = {
    # states of the crawl, and of what is known of it
    "none": _("No crawl yet"),
    "running": _("Crawling"),
    "paused": _("On hold"),
    "finished": _("Finished"),
    "away": _("No news"),
    # outcomes of requests
    "ok": _("OK"),
    "verification": _("Verification page"),
    "rate_limited": _("Rate limited"),
    "deleted": _("Deleted"),
    "closed": _("Forum closed"),
    "login_required": _("Login required"),
    "refused": _("Refused"),
    "unknown": _("Not understood"),
    "server_error": _("Server error"),
    "network_error": _("No answer"),
    "forbidden": _("Not allowed by robots.txt"),
    "empty": _("Empty"),
    # endpoints, and what is stored
    "forums": _("Forums"),
    "threads": _("Threads"),
    "posts": _("Posts"),
    "comments": _("Comments"),
    "users": _("Users"),
    "pictures": _("Pictures"),
    "crawls": _("Crawls"),
    "bytes": _("Downloaded"),
    # alarms
    "nothing_stored": _("Nothing stored"),
    "address_blocked": _("Address blocked"),
    "dead_letters": _("Dead letters are growing"),
    "slave_silent": _("Slave silent"),
    "redis_memory": _("Redis nearly full"),
    "disk_low": _("Disk nearly full"),
    "redis_away": _("Redis away"),
    "page_fault": _("Fault of the page"),
    "store_away": _("Store away"),
    # themes
    "auto": _("As the system"),
    "light": _("Light"),
    "dark": _("Dark"),
}
