"""Makes ``room.png``, the picture of the README: the demo room of a real server, with people commenting.

.venv/bin/python docs/images/make.py
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

from tests.support.chromium import chromium
from tests.support.sender import Sender
from tests.support.server import ServerProcess

HERE = Path(__file__).parent
UNLIMITED = {f"rate_{who}_{what}": 1000 for who in ("account", "room", "address") for what in ("per_s", "burst")}
PEOPLE = ("小满", "阿澈", "青禾", "云间", "夜航船", "Lena", "Momo", "老王")
WHITE, YELLOW, ORANGE, PINK, VIOLET, BLUE, TEAL = "#ffffff", "#ffd54a", "#ff8a65", "#ff7d9c", "#c4a1ff", "#6fc3ff", "#5fe0c0"
COMMENTS = (
    ("前排", WHITE), ("晚上好各位", WHITE), ("来了来了", YELLOW), ("今晚的月亮好圆", WHITE), ("这个画面太治愈了", BLUE),
    ("好美的灯", WHITE), ("Greetings from Berlin", WHITE), ("湖面的倒影绝了", TEAL), ("一起数灯笼：1、2、3…", WHITE),
    ("想起小时候的元宵节", ORANGE), ("愿大家平安喜乐", YELLOW), ("真安静啊，适合睡前看", WHITE), ("许个愿", PINK),
    ("so peaceful", WHITE), ("第一次看到这么多孔明灯", VIOLET), ("好想去现场", WHITE), ("风吹过来的感觉", WHITE),
    ("主播辛苦了", BLUE), ("截图当壁纸了", WHITE), ("又有一盏升起来了", ORANGE), ("慢慢看，不着急", WHITE),
    ("江南的夜晚", TEAL), ("高清画质爱了", WHITE), ("愿望会实现的", PINK), ("从头看到现在", WHITE),
    ("月亮旁边那盏最亮", YELLOW), ("good night everyone", WHITE), ("此处应有音乐", WHITE), ("心都静下来了", BLUE),
    ("明年还来", WHITE),
)  # fmt: skip


def main() -> None:
    """Start a server, let people comment for some seconds, take the picture."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        site = stack.enter_context(ServerProcess(Path(folder) / "data", settings=UNLIMITED))
        page = stack.enter_context(chromium()).new_page(
            viewport={"width": 1280, "height": 800}, locale="zh-CN", base_url=site.url
        )
        page.goto(f"/rooms/demo#token={site.token('reader', '阿泽')}")
        page.wait_for_selector("#say:visible")
        senders = [stack.enter_context(closing(Sender(site, "demo", name))) for name in PEOPLE]
        for number, (text, color) in enumerate(COMMENTS):
            mode = {9: "top", 27: "bottom"}.get(number, "scroll")
            senders[number % len(senders)].say(text, color=color, mode=mode, size=36 if number == 20 else 25)
            time.sleep(0.22)
            if number == len(COMMENTS) - 9:
                page.fill("#text", "我也来许个愿")
                page.press("#text", "Enter")
        page.evaluate("() => document.activeElement.blur()")
        page.wait_for_timeout(300)
        page.screenshot(path=HERE / "room.png")


if __name__ == "__main__":
    main()
