"""A laboratory for the operator: a stand-in for a cluster, real Redis, real claims, real programs.

The stand-in is kmock with what a control plane does on top. It proves nothing about Kubernetes
itself: the same scenes are set on a real API server where a kubeconfig names one.
"""

from cluster_lab.admin import Admin
from cluster_lab.kubelet import Kubelet
from cluster_lab.places import on_cluster, on_kmock
from cluster_lab.programs import OperatorProgram, RedisProgram
from cluster_lab.scene import Scene
from cluster_lab.server import FakeCluster
from cluster_lab.workers import Worker

__all__ = [
    "Admin",
    "FakeCluster",
    "Kubelet",
    "OperatorProgram",
    "RedisProgram",
    "Scene",
    "Worker",
    "on_cluster",
    "on_kmock",
]
