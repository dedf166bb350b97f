"""Words in two languages."""

from static_mirror import labels


def test_words_stand_in_both_languages() -> None:
    """English is marked as such within the Chinese page."""
    assert labels.both("举报", "Report") == '举报 <span lang="en">Report</span>'
    assert "审核员" in labels.role("reviewer")
    assert "reviewer" in labels.role("reviewer")
    assert "unlawful" in labels.family("L5")
    assert "只读" in labels.mode("read_only")


def test_categories_that_say_it_in_their_label_have_no_words_beside_it() -> None:
    """A news unit is told as one; a certified creator's label says so already."""
    assert labels.category("news_unit") == '新闻单位 <span lang="en">News unit</span>'
    assert labels.category("creator") == labels.category("other") == labels.category("guild") == ""


def test_unknown_words_stand_for_themselves() -> None:
    """A role or mode of a later version is shown as it is; an unknown code has no family."""
    assert labels.role("robot") == "robot"
    assert labels.mode("quiet") == "quiet"
    assert labels.family("Z1") == labels.family("") == ""
