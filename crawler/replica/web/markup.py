"""Pieces of markup that several pages share."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replica.content import Piece, User

_STATIC = "https://gsp0.baidu.com/5aAHeD3nKhI2p27j8IqW0jdnxx1xbK/tb"
_PICTURES = "http://tiebapic.baidu.com/forum"
_PORTRAITS = "https://gss0.bdstatic.com/6LZ1dD3d1sgCo2Kml5_Y_D3/sys/portrait/item"
_PICTURES_HOLD = 11 * 86_400  # seconds
_ON_MENTION = (
    "onclick=\"Stats.sendRequest('fr=tb0_forum&st_mod=pb&st_value=atlink');\""
    ' onmouseover="showattip(this)" onmouseout="hideattip(this)"'
)


def tbs(now: int) -> str:
    """Token of a page: 16 hexadecimal digits and, as on real pages, the time it was made."""
    return f"5ad1f00dc0ffee42{now}"


def script_json(value: object) -> str:
    r"""JSON as PHP writes it: ASCII, `/` as `\/`."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def attribute(value: object) -> str:
    """JSON for an attribute in single quotes."""
    text = script_json(value).replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#039;")
    return text.replace("<", "&lt;").replace(">", "&gt;")


def plain_portrait(user: User) -> str:
    """Give the portrait without the time of its last change."""
    return user.portrait.partition("?")[0]


def picture(name: str, size: str, now: int) -> str:
    """Address of a smaller picture, signed and soon expired."""
    expiry = time.strftime("%Y-%m-%d-05", time.gmtime(now + _PICTURES_HOLD))
    return f"{_PICTURES}/{size}/sign={name[:32]}/{name}.jpg?tbpicau={expiry}_{name[8:40]}"


def portrait_address(user: User) -> str:
    """Address of a user's picture."""
    return f"{_PORTRAITS}/{plain_portrait(user)}"


def mention(name: str, portrait: str = "") -> str:
    """Link to a user who is named in a text; the name in the address is in GBK."""
    user = f' portrait="{portrait}"' if portrait else ""
    return (
        f'<a href=""  {_ON_MENTION} username="{quote(name.encode("gbk", "replace"))}"{user}'
        f' target="_blank" class="at">{escape(name)}</a>'
    )


def content(pieces: Iterable[Piece], now: int) -> str:
    """Text, pictures and links of a floor or comment."""
    return "".join(_piece(piece, now) for piece in pieces)


def _piece(piece: Piece, now: int) -> str:
    kind = piece.kind
    if kind == "text":
        return escape(piece.text).replace("\n", "<br>")
    if kind == "emoji":
        return (
            '<img class="BDE_Smiley" width="30" height="30" changedsize="false"'
            f' src="{_STATIC}/editor/images/client/{piece.ref}.png" >'
        )
    if kind == "image":
        return (
            f'<img class="BDE_Image" src="{picture(piece.text, "w%3D580", now)}" size="148855"'
            ' changedsize="true" width="560" height="349">'
        )
    if kind == "link":
        return (
            f'<a href="http://jump2.bdimg.com/safecheck/index?url={quote(piece.ref, safe="")}"'
            f' class="j-no-opener-url" target="_blank">{escape(piece.text)}</a>'
        )
    if kind == "at":
        return mention(piece.text)
    if kind == "video":
        return (
            f'<div class="video_src_wrapper"><embed class="BDE_Flash" data-video="{piece.ref}"'
            ' type="application/x-shockwave-flash" width="500" height="450"></div>'
        )
    return f'<div class="voice_player voice_player_pb" data-voice-md5="{piece.ref}"></div>'


def home(user: User, origin: str) -> str:
    """Address of a user's page."""
    if user.name:
        return f"/home/main?un={quote(user.name)}&ie=utf-8&fr={origin}"
    return f"/home/main?id={plain_portrait(user)}&fr={origin}"


@lru_cache(maxsize=4_096)
def medals(user: User) -> str:
    """Give the row of medals that many users have behind their name."""
    owned = [_MEDALS[(user.user_id + step) % len(_MEDALS)] for step in range(user.user_id % 3)]
    return f'<span class="icon_wrap  icon_wrap_theme1 frs_bright_icons ">{"".join(owned)}</span>'


def _medal(number: int, name: str, title: str) -> str:
    address = f"http://tieba.baidu.com/f?ie=utf-8&kw={quote(title)}&fr=search"
    field: dict[str, Any] = {
        "name": name,
        "end_time": "1793548800",
        "category_id": 100 + number,
        "slot_no": "1",
        "title": title,
        "intro": f"在{title}活动中获得，全吧通用。",
        "intro_url": address,
        "price": 0,
        "value": "1",
        "sprite": {str(level): f"1772000000,{number * 7 + level}" for level in range(1, 4)},
    }
    return (
        f'<a style="background: url(//tb1.bdstatic.com/tb/cms/com/icon/{100 + number}_14.png?stamp=1)'
        f' no-repeat -{number * 50}px  0;top:0px;left:0px" data-slot="1"  data-name="{name}"'
        f' data-field=\'{attribute(field)}\' target="_blank"   href="{escape(address)}"'
        f'  class="j_icon_slot"  title="{title}"  locate="{name}_1#icon"  style="top: 0px; left:0px">'
        '  <div class=" j_icon_slot_refresh"></div></a>'
    )


_MEDALS = tuple(
    _medal(number, name, title)
    for number, (name, title) in enumerate(
        (
            ("signprize", "签到达人印记"),
            ("reader", "读书会员"),
            ("gardener", "园艺爱好者"),
            ("early", "早起打卡"),
            ("walker", "万步行者"),
        )
    )
)
