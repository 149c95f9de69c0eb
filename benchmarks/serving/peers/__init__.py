"""All peers, in the order in which they are reported."""

from __future__ import annotations

from benchmarks.serving.peer import Peer
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.ours import LOGITD, LOGITD_WITHOUT_METRICS
from benchmarks.serving.peers.tutorial import TUTORIAL

PEERS: dict[str, Peer] = {peer.name: peer for peer in (FLOOR, LOGITD, LOGITD_WITHOUT_METRICS, TUTORIAL)}
SELF = (FLOOR.name, LOGITD.name, LOGITD_WITHOUT_METRICS.name)
