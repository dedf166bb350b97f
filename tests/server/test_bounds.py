"""server/bounds.py"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from server.account_requests import AccountRequest
from server.authority_operations import AuthorityRequest
from server.bounds import WHOLE_MAX, Number, Whole
from server.http import staff_patrol, staff_queue_api
from server.mode_operations import SetMode, SetOwner, SiteMode
from server.operations import Announce, CreateRoom, Remove, Restore
from server.review_operations import ReviewRequest

ASKED: tuple[Any, ...] = (
    AccountRequest, AuthorityRequest, ReviewRequest, SetMode, SiteMode, SetOwner, Announce, CreateRoom, Remove,
    Restore, staff_queue_api.Decide, staff_queue_api.Undo, staff_queue_api.Keep, staff_patrol.Act, staff_patrol.Done,
)  # fmt: skip
"""What staff and operators ask for as JSON, but for the number of items that a script wants, which is cut by hand."""


def unbounded(found: inspect.Type, name: str) -> Iterator[str]:
    """Names of the whole numbers in a type that may be larger than a database holds."""
    if isinstance(found, inspect.IntType) and (found.le is None or found.le > WHOLE_MAX or found.ge is None):
        yield name
    elif isinstance(found, inspect.StructType):
        for field in found.fields:
            yield from unbounded(field.type, f"{found.cls.__name__}.{field.name}")
    elif isinstance(found, inspect.UnionType):
        for each in found.types:
            yield from unbounded(each, name)
    elif isinstance(found, inspect.ListType | inspect.VarTupleType):
        yield from unbounded(found.item_type, name)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: getattr(asked, "__name__", "union"))
def test_every_whole_number_that_is_asked_with_is_bounded(asked: Any) -> None:
    """So that a number of more than 64 bits is refused where it comes in, and is no fault of a database."""
    assert list(unbounded(inspect.type_info(asked), "")) == []


@pytest.mark.parametrize("number", [-1, WHOLE_MAX + 1, 2**63, 2**64])
def test_what_is_beyond_the_bounds_is_refused(number: int) -> None:
    """Below none, and above what JSON readers hold exactly."""
    for kind in (Whole, Number):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(str(number), type=kind)
    assert msgspec.json.decode(str(WHOLE_MAX), type=Whole) == WHOLE_MAX
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"0", type=Number)
