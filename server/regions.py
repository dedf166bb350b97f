"""The region of an address: the province within China, the country elsewhere, from a file and without asking anybody.

The account rules of 2022 want it shown beside what people post. What leaves this module is a name of the table in
``static_mirror.places`` or 未知 (unknown), whatever the file holds: the address, the city and the network provider in it do not.

The file is an ip2region database (``.xdb``, one for IPv4, one for IPv6). All layouts of its rows are read: with and without an area,
with and without the ISO code, country names in Chinese and in English.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Final

import ip2region.util as xdb
import structlog
from ip2region.searcher import Searcher

from server.errors import ConfigError
from server.settings import Settings
from static_mirror.places import PLACES, UNKNOWN

_MOST_BYTES: Final = 256 * 2**20
_CACHED: Final = 65_536
"""Addresses remembered; the one unused for the longest time is forgotten."""

_CHINA: Final = "中国"
_PROVINCES: Final = {place.zh.removeprefix(_CHINA): place.zh for place in PLACES.values() if place.code.startswith("CN-")}
_BY_CODE: Final = {place.code.removeprefix("CN-") if place.zh.startswith(_CHINA) else place.code: place.zh
                   for place in PLACES.values()}  # fmt: skip
_SUFFIXES: Final = ("省", "市", "特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区")
_BY_NAME: Final = (
    {place.en.casefold(): place.zh for place in PLACES.values() if not place.code.startswith("CN-")}
    | {place.zh: place.zh for place in PLACES.values() if not place.code.startswith("CN-")}
    | {each: f"{_CHINA}{name}" for name in ("香港", "澳门", "台湾") for each in (name, f"{_CHINA}{name}")}
    | {"hong kong": "中国香港", "macao": "中国澳门", "macau": "中国澳门", "taiwan": "中国台湾"}
    | {
        "刚果布": "刚果（布）", "刚果金": "刚果（金）", "南乔治亚岛和南桑威奇群岛": "南乔治亚和南桑威奇群岛", "圣马丁": "法属圣马丁",
        "孟加拉": "孟加拉国", "托克劳群岛": "托克劳", "法国南部领地": "法属南部领地", "瓦利斯和富图纳群岛": "瓦利斯和富图纳",
        "留尼旺": "留尼汪", "蒙塞拉特岛": "蒙特塞拉特", "阿森松岛": "圣赫勒拿", "马其顿": "北马其顿", "turkey": "土耳其",
    }
)  # fmt: skip
"""Countries by the names that databases have for them."""

log = structlog.get_logger("regions")


class Regions:
    """Finds regions in memory: some 10 us for an address, less for one that is remembered. Safe for several threads."""

    def __init__(self, v4: bytes | None, v6: bytes | None, *, enabled: bool = True) -> None:
        """``v4`` and ``v6`` are contents of database files; without either, or not ``enabled``, no comment has a region.

        Raises ValueError for contents that are no such database.
        """
        self._v4 = _searcher(v4, xdb.IPv4) if v4 is not None else None
        self._v6 = _searcher(v6, xdb.IPv6) if v6 is not None else None
        self.enabled: Final = enabled and (v4 is not None or v6 is not None)
        self._find = lru_cache(_CACHED)(self._look_up)

    @classmethod
    def open(cls, settings: Settings) -> Regions:
        """Load the files that the settings name. Raises ConfigError."""
        if not settings.regions:
            return cls(None, None, enabled=False)
        contents = [_read(name, getattr(settings, name)) for name in ("region_file", "region_file_v6")]
        if contents == [None, None]:
            log.info("no region data is given (region_file): comments show no region")
        for name, content, version in zip(("region_file", "region_file_v6"), contents, (xdb.IPv4, xdb.IPv6), strict=True):
            try:
                if content is not None:
                    _searcher(content, version)
            except ValueError as error:
                raise ConfigError(f"{name} {getattr(settings, name)}: {error}") from None
        return cls(*contents)

    def of(self, address: str) -> str:
        """The region of an address; 未知 for what is no public address or stands in no file; empty when regions are off."""
        return self._find(address) if self.enabled else ""

    def remembered(self) -> tuple[int, int]:
        """How often an address was remembered, and how often not."""
        info = self._find.cache_info()
        return info.hits, info.misses

    def _look_up(self, address: str) -> str:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return UNKNOWN
        if parsed.version == 6 and parsed.ipv4_mapped is not None:  # an IPv4 peer of a socket that listens on both families
            parsed = parsed.ipv4_mapped
        searcher = self._v4 if parsed.version == 4 else self._v6
        if searcher is None or not parsed.is_global:
            return UNKNOWN
        try:
            return region_of(searcher.search(parsed.packed))
        except (ValueError, IndexError):  # a damaged row is no reason to refuse a connection
            return UNKNOWN


def region_of(row: str) -> str:
    """The region that a row of a database names, such as ``中国|广东省|深圳市|电信|CN``; 未知 when it is none of our table."""
    country, *rest = row.split("|")
    code = rest[-1] if rest and len(rest[-1]) == 2 and rest[-1].isascii() and rest[-1].isupper() else ""
    found = _BY_CODE.get(code) or _BY_NAME.get(country) or _BY_NAME.get(country.casefold())
    if found == _CHINA:
        provinces = (_PROVINCES.get(_short(field)) for field in rest[:2])
        return next((province for province in provinces if province), _CHINA)
    return found or UNKNOWN


def _short(province: str) -> str:
    """广东省 -> 广东, 新疆维吾尔自治区 -> 新疆, 中国香港 -> 香港."""
    name = province.removeprefix(_CHINA)
    return next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), name)


def _searcher(content: bytes, version: xdb.Version) -> Searcher:
    if len(content) < xdb.HeaderInfoLength + xdb.VectorIndexLength:
        raise ValueError("is no ip2region database (.xdb)")
    header = xdb.Header(content[: xdb.HeaderInfoLength])
    if header.version not in (xdb.XdbStructure20, xdb.XdbStructure30):
        raise ValueError(f"is no ip2region database (.xdb) of a structure known here, which are 2 and 3, not {header.version}")
    found = xdb.version_from_header(header)
    if found is not version:
        raise ValueError(f"is a database of {found.name if found else 'unknown'} addresses, not of {version.name}")
    if header.endIndexPtr + version.index_size > len(content):
        raise ValueError("is cut short; get it again")
    return Searcher(version, None, None, content)


def _read(name: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise ConfigError(f"{name} {path}: has {size} bytes, more than any region database")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {path}: cannot be read ({error.strerror})") from None
