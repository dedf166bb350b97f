"""server/regions.py: the province or country of an address, and nothing else of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigError
from server.regions import Regions, region_of
from server.settings import Settings
from static_mirror.places import PLACES, UNKNOWN
from tests.support.regions import V4_ROWS, V6_ROWS, database

REGIONS = Regions(database(V4_ROWS), database(V6_ROWS))


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("1.0.1.0", "福建"),
        ("1.0.1.255", "福建"),
        ("1.2.4.8", "北京"),
        ("202.96.128.86", "广东"),
        ("14.0.16.1", "中国香港"),
        ("8.8.8.8", "美国"),
        ("126.255.255.255", "日本"),
        ("::ffff:126.1.2.3", "日本"),
        ("240e:3b7:3272:d8d0:db09:c067:8d59:539e", "广东"),
        ("2a00:1450:4001::1", "爱尔兰"),
    ],
)
def test_a_province_within_china_and_a_country_elsewhere(address: str, region: str) -> None:
    """IPv4, IPv6 and IPv4 in IPv6; the last address of a range as the first."""
    assert REGIONS.of(address) == region


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.9", "100.64.1.1", "::1", "fe80::1%eth0", "fd00::1", "0.0.0.0",
     "9.9.9.9", "2606:4700::1", "", "unix", "1.2.3", "١.٢.٣.٤"],
)  # fmt: skip
def test_what_is_no_public_address_or_in_no_file_is_unknown(address: str) -> None:
    """Private addresses say nothing of a place, and their being private is nobody's concern: all are 未知."""
    assert REGIONS.of(address) == UNKNOWN


def test_without_data_or_by_the_setting_no_comment_has_a_region(tmp_path: Path) -> None:
    """Neither is an error: the region is empty, which is shown nowhere."""
    file = tmp_path / "v4.xdb"
    file.write_bytes(database(V4_ROWS))
    assert Regions.open(Settings()).of("1.2.4.8") == ""
    assert Regions.open(Settings(regions=False, region_file=file)).of("1.2.4.8") == ""
    assert Regions.open(Settings(region_file=file)).of("1.2.4.8") == "北京"


def test_one_family_alone_leaves_the_other_unknown() -> None:
    """Where only IPv4 is known, an IPv6 address is 未知, and the other way round."""
    assert Regions(database(V4_ROWS), None).of("240e:3b7::1") == UNKNOWN
    assert Regions(None, database(V6_ROWS)).of("1.2.4.8") == UNKNOWN


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no ip2region database"),
        (b"\0" * 600_000, "structure known here"),
        (database(V6_ROWS), "of IPv6 addresses, not of IPv4"),
        (database(V4_ROWS)[:-20], "cut short"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: bytes, words: str) -> None:
    """The message names setting, file and fault."""
    file = tmp_path / "regions.xdb"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"region_file .*regions\.xdb: .*{words}"):
        Regions.open(Settings(region_file=file))


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    """It does not come up with all comments unknown."""
    with pytest.raises(ConfigError, match=r"region_file_v6 .*: cannot be read \(No such file"):
        Regions.open(Settings(region_file_v6=tmp_path / "none"))


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    """It stays in memory as a whole, so its size has a bound."""
    file = tmp_path / "large"
    with file.open("wb") as out:
        out.truncate(256 * 2**20 + 1)
    with pytest.raises(ConfigError, match="more than any region database"):
        Regions.open(Settings(region_file=file))


def test_a_database_of_the_older_structure_is_read() -> None:
    """Structure 2 knows IPv4 only and names no family."""
    assert Regions(database(V4_ROWS, structure=2), None).of("202.96.128.86") == "广东"


@pytest.mark.parametrize(
    ("row", "region"),
    [
        ("中国|0|广东省|深圳市|电信", "广东"),
        ("中国|华南|广东省|深圳市|鹏博士", "广东"),
        ("中国|广东省|深圳市|移动", "广东"),
        ("中国|吉林省|吉林市|联通|CN", "吉林"),
        ("中国|新疆维吾尔自治区|0|0|CN", "新疆"),
        ("中国|广西壮族自治区|0|0|CN", "广西"),
        ("中国|内蒙古|0|0|CN", "内蒙古"),
        ("中国|北京|北京市|联通|CN", "北京"),
        ("中国|0|台湾省|0|中华电信", "中国台湾"),
        ("中国|澳门特别行政区|0|0|CN", "中国澳门"),
        ("Hong Kong|0|0|0|HK", "中国香港"),
        ("Taiwan|0|0|0|TW", "中国台湾"),
        ("中国|0|0|电信|CN", "中国"),
        ("中国|月球省|0|0|CN", "中国"),
        ("China|Guangdong|0|0|CN", "中国"),
        ("United States|California|San Jose|xTom|US", "美国"),
        ("Germany|0|0|0", "德国"),
        ("刚果金|0|0|0|0", "刚果（金）"),
        ("阿联酋|0|0|0|0", "阿联酋"),
        ("亚太地区|0|0|0|0", UNKNOWN),
        ("Atlantis|0|0|0|QX", UNKNOWN),
        ("0|0|0|内网IP|内网IP", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_every_layout_of_a_row_is_read(row: str, region: str) -> None:
    """With and without area and code; never more than the province; what is no country of the table is unknown."""
    assert region_of(row) == region


@given(row=st.lists(st.text(), max_size=6).map("|".join))
def test_nothing_but_names_of_the_table_comes_out(row: str) -> None:
    """Whatever a file holds, no text of it gets into a comment."""
    assert region_of(row) in PLACES or region_of(row) == UNKNOWN


@given(address=st.ip_addresses().map(str), damage=st.binary(min_size=4, max_size=4), at=st.integers(0, 2_000))
def test_a_damaged_file_refuses_nobody(address: str, damage: bytes, at: int) -> None:
    """Damage that the start did not notice makes regions unknown or wrong, and never an error."""
    content = bytearray(CONTENT)
    place = len(content) - 2_000 - 14 + at - 4
    content[place : place + 4] = damage
    region = Regions(bytes(content), None).of(address)
    assert region in PLACES or region == UNKNOWN


def test_an_address_is_looked_up_once() -> None:
    """What is remembered has a bound, and is not read from the file again."""
    regions = Regions(database(V4_ROWS), None)
    for _ in range(3):
        regions.of("1.2.4.8")
    assert regions.remembered() == (2, 1)


CONTENT = database(V4_ROWS)
