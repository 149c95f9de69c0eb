"""All peers, in the order in which they are reported."""

from __future__ import annotations

from benchmarks.serving.peer import Peer
from benchmarks.serving.peers.bentoml import BENTOML
from benchmarks.serving.peers.floor import FLOOR
from benchmarks.serving.peers.kserve import KSERVE
from benchmarks.serving.peers.litserve import LITSERVE
from benchmarks.serving.peers.mlflow import MLFLOW
from benchmarks.serving.peers.mlserver import MLSERVER, MLSERVER_INLINE
from benchmarks.serving.peers.ours import LOGITD, LOGITD_WITHOUT_METRICS
from benchmarks.serving.peers.pytriton import PYTRITON
from benchmarks.serving.peers.tutorial import TUTORIAL

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        *(FLOOR, LOGITD, LOGITD_WITHOUT_METRICS, TUTORIAL),
        *(PYTRITON, MLSERVER_INLINE, MLSERVER, KSERVE, MLFLOW, LITSERVE, BENTOML),
    )
}
# What is measured while one works on the service itself.
SELF = (FLOOR.name, LOGITD.name, LOGITD_WITHOUT_METRICS.name)
