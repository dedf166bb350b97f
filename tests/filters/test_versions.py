"""Tests of filters.versions."""

from __future__ import annotations

from filters.normalize import fold, syllables
from filters.repeats import gist
from filters.versions import said, said_of, same, triples_of


def test_pieces() -> None:
    """Near copies share a piece, also with words in front and behind; texts too short to tell have none."""
    whole = set(said("这个产品真的好用推荐给大家").marks)
    assert whole & set(said("这个產品真的好用推荐给大家666!").marks)
    assert whole & set(said("这个产品真的很用推荐给大家").marks)
    assert whole & set(said("姐妹们这个产品真的好用推荐给大家哈哈").marks)
    assert said("哈哈哈哈哈").marks == ()


def test_noise_and_drawn_out_sounds_do_not_count() -> None:
    """A text comes down to the same with and without them, whether told from its characters, its gist or its syllables."""
    plain = said("这个产品真的好用推荐给大家")
    folded = fold("这这个、产品——真的 1 好用!!推荐\ue000给😂大家家家")
    assert said(folded) == said(gist(folded)) == said_of(syllables(folded)) == plain
    assert said("𠀀𠀁𠀂𠀃").spoken == "𠀀𠀁𠀂𠀃"


def test_versions_have_syllables_in_common() -> None:
    """Two texts that share most of their syllables in a row are versions of one; others are not."""
    whole, changed, other = (
        triples_of(said(text).spoken)
        for text in ("这个产品真的好用推荐给大家", "这个产品真的很用推荐给大家", "第三次回购了性价比很高")
    )
    assert same(whole, changed)
    assert not same(whole, other)
