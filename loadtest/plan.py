"""What a run does: one flat table of parameters, the same for every scenario; each scenario reads those that concern it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of a run. Names end in their unit; the command line makes its options of this table."""

    url: Annotated[str, Meta(description="Address of the server, such as http://127.0.0.1:8080.")]
    room: Annotated[str, Meta(description="Room to test in; nobody else should post there meanwhile.")] = "demo"
    data_dir: Annotated[Path | None, Meta(description="The server's data folder; tokens are signed with its token.key.")] = None
    token_secret_file: Annotated[Path | None, Meta(description="File with the secret of the server's HS256 tokens.")] = None
    server_pid: Annotated[int | None, Meta(description="Process of a server on this machine, to measure what it costs.")] = None
    deflate: Annotated[bool, Meta(description="Offer permessage-deflate, as browsers do.")] = False
    random_mask: Annotated[bool, Meta(description="Mask every frame with a fresh key (costs the generator time).")] = False
    per_address: Annotated[int, Meta(description="Connections from one source address; 0: the system's address for all.")] = 100
    entry_per_s: Annotated[float, Meta(description="New connections per second.")] = 1000.0
    viewers: Annotated[int, Meta(description="Connections that read the room, senders among them.")] = 1000
    senders: Annotated[int, Meta(description="How many of the viewers post.")] = 50
    rate: Annotated[float, Meta(description="Comments per second of all senders together.")] = 50.0
    arrivals: Annotated[Literal["steady", "poisson"], Meta(description="When comments are due.")] = "steady"
    seconds: Annotated[float, Meta(description="How long to measure (of `stall`: before, and again after the stall).")] = 20.0
    warmup_s: Annotated[float, Meta(description="Seconds of the same load before measuring.")] = 2.0
    drain_s: Annotated[float, Meta(description="How long to wait at most for the last answers and deliveries.")] = 15.0
    seed: Annotated[int, Meta(description="Of everything that is random: arrivals, cuts.")] = 1
    texts: Annotated[Path | None, Meta(description="File with comments, one a line; else they are made up.")] = None
    pages: Annotated[bool, Meta(description="Read all static pages afterwards and hold them against the log.")] = True
    in_flight: Annotated[int, Meta(description="`ingest`: comments that each sender has under way.")] = 32
    stalled: Annotated[int, Meta(description="`stall`: how many of the viewers stop reading.")] = 300
    stall_s: Annotated[float, Meta(description="`stall`: for how long.")] = 30.0
    cut_every_s: Annotated[float, Meta(description="`churn`: mean time between two cuts of one viewer.")] = 5.0
    away_max_s: Annotated[float, Meta(description="`churn`: how long a viewer stays away at most.")] = 10.0
