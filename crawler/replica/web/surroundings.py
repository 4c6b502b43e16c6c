"""What stands around the lists and floors: scripts, menus, recommendations, none of it content.

Made once, as bytes. It makes pages as large as the real ones, so that a parser has as much to go through.
"""

from __future__ import annotations

from replica import text

_PAGELETS = tuple(
    f"{group}/pagelet/{name}"
    for group in ("common", "forum", "frs-aside", "frs-header", "live", "search")
    for name in ("ad", "card", "content", "extension", "head", "star")
)


def sentence(number: int) -> str:
    """Give some words."""
    openings, middles = text.OPENINGS, text.MIDDLES
    words = f"{openings[number % len(openings)]}，{middles[number * 7 % len(middles)]}"
    return words.replace("&", "&amp;").replace("<", "&lt;")


def scripts(name: str, count: int) -> str:
    """Give about `count` × 2.5 KB of scripts."""
    return "".join(
        f'<script>_.Module.use("{name}/widget/part_{number}", [{{'
        + ",".join(
            f'"option_{item}":{{"html":"<li class=\\"topic_item\\" data-id=\\"{item}\\">",'
            f'"url":"\\/tb\\/_\\/{name}_{item:06x}.js"}}'
            for item in range(number, number + 26)
        )
        + "}]);</script>\n"
        for number in range(count)
    )


def box(name: str, count: int) -> str:
    """Give about `count` × 0.3 KB of links."""
    items = "".join(
        f'<li class="topic_item"><span class="topic_flag">{number + 1}</span>'
        f'<a rel="noreferrer"  target="_blank" href="/hottopic/browse?topic_id={number}&amp;fr={name}"'
        f' class="topic_name" title="{sentence(number)}">{sentence(number)}</a>'
        f'<span class="topic_num">{52_671 - number}</span></li>\n'
        for number in range(count)
    )
    box_id = name.replace("/", "-")
    return f'<div class="region_bright" id="{box_id}"><ul class="topic_list">\n{items}</ul></div>'


def pagelet(name: str) -> tuple[str, str]:
    """Give what stands before and after a part of a page that a script puts into its place."""
    files = ",".join(f'"\\/tb\\/_\\/{name.split("/")[-1]}_{number:07x}.js"' for number in range(30))
    return (
        f'<code class="pagelet_html" id="pagelet_html_{name}" style="display:none;"><!--\n',
        f'\n--></code><script>Bigpipe.register("{name}", {{"parent":"frs-base\\/pagelet\\/content",'
        f'"scripts":[{files}],"styles":[]}}).then(function(pagelet){{_.Module.use("{name}");}});</script>\n',
    )


HEAD_SCRIPTS = scripts("common", 8)

_MENU = "".join(
    f'<a rel="noreferrer"  param="word" href="http://www.example.com/s?cl={number}&amp;rn=20&">'
    f"{sentence(number)}</a>"
    for number in range(60)
)
FORUM_MENU = f'<div class="search_nav j_search_nav">{_MENU}</div>\n'
FORUM_PAGELETS = "".join(box(name, 5).join(pagelet(name)) for name in _PAGELETS).encode()
FORUM_ASIDE = "".join(box(name, 5) for name in _PAGELETS).encode()
FORUM_SCRIPTS = scripts("frs-list", 12).encode()

THREAD_TAIL = (box("pb-aside", 60) + scripts("pb", 32)).encode()
