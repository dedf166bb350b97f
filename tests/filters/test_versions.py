"""Tests of filters.versions."""

from __future__ import annotations

from filters.versions import said, same, triples_of


def test_pieces() -> None:
    """Near copies share a piece, also with words in front and behind; texts too short to tell have none."""
    whole = set(said("这个产品真的好用推荐给大家").marks)
    assert whole & set(said("这个產品真的好用推荐给大家666!").marks)
    assert whole & set(said("这个产品真的很用推荐给大家").marks)
    assert whole & set(said("姐妹们这个产品真的好用推荐给大家哈哈").marks)
    assert said("哈哈哈哈哈").marks == ()


def test_versions_have_syllables_in_common() -> None:
    """Two texts that share most of their syllables in a row are versions of one; others are not."""
    whole, changed, other = (
        triples_of(said(text).spoken)
        for text in ("这个产品真的好用推荐给大家", "这个产品真的很用推荐给大家", "第三次回购了性价比很高")
    )
    assert same(whole, changed)
    assert not same(whole, other)
