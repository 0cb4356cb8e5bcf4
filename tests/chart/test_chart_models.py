"""Which model a pool has, where it lies, and who fetches it: the rendered pods of workers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asr_worker.settings import WorkerSettings

Json = dict[str, Any]
IN_STORE = "/var/lib/asr-platform/store/models"
ARCHIVE = f"worker.model.archive.url=https://e.example/m.tar,worker.model.archive.sha256={'a' * 64}"
S3 = "store.type=s3,store.url=s3://bucket/asr"
CPU, GPU, WHISPER = "asr-platform-worker:0.1.0-cpu", "asr-platform-worker:0.1.0", ":0.1.0-whisper"


def pod(rendered: Any, pool: str = "default") -> Json:
    spec: Json = rendered.find("Deployment", f"asr-worker-{pool}")["spec"]["template"]["spec"]
    return spec


def worker(rendered: Any, pool: str = "default") -> Json:
    (container,) = pod(rendered, pool)["containers"]
    return container  # type: ignore[no-any-return]


def fetchers(rendered: Any, pool: str = "default") -> list[Json]:
    return [e for e in pod(rendered, pool).get("initContainers", ()) if e["name"] == "model"]


def environment(container: Json) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container["env"]}


def deadline(rendered: Any) -> int:
    seconds: int = rendered.find("Deployment", "asr-worker-default")["spec"][
        "progressDeadlineSeconds"
    ]
    return seconds


def test_by_default_a_real_model_is_fetched_where_the_worker_looks_for_it(render: Any) -> None:
    made = render()
    (fetcher,) = fetchers(made)
    assert fetcher["command"] == ["asr", "models", "pull", "sensevoice-small"]
    assert fetcher["image"] == worker(made)["image"]
    told, workers = environment(fetcher), environment(worker(made))
    assert workers["ASR_MODEL"] == "sensevoice-small"
    assert told["ASR_MODEL_CACHE"] == workers["ASR_MODEL_CACHE"] == IN_STORE
    mounted = {mount["mountPath"]: mount["name"] for mount in fetcher["volumeMounts"]}
    assert mounted["/var/lib/asr-platform/store"] == "store"
    assert not any("REDIS" in name or "STORE" in name for name in told)


def test_the_container_that_fetches_asks_for_no_gpu(render: Any) -> None:
    made = render("--set", "worker.gpu.enabled=true")
    assert "nvidia.com/gpu" in worker(made)["resources"]["limits"]
    assert "nvidia.com/gpu" not in fetchers(made)[0]["resources"]["limits"]


@pytest.mark.parametrize(
    ("name", "fetched"),
    [
        ("whisper-base", True),
        ("large-v3-turbo", True),
        ("turbo", True),
        ("sensevoice-small", True),
        ("embedded", False),
        ("iic/SenseVoiceSmall", False),
        ("/models/mine", False),
        ("paraformer-zh", False),
    ],
)
def test_the_init_container_fetches_what_the_catalogue_has(
    render: Any, name: str, fetched: bool
) -> None:
    made = render("--set", f"worker.model.name={name}")
    assert environment(worker(made))["ASR_MODEL"] == name
    assert [each["command"][-1] for each in fetchers(made)] == [name] * fetched


@pytest.mark.parametrize(
    ("settings", "folder", "volume"),
    [
        ("", IN_STORE, "store"),
        ("worker.modelCache.persistent=false", "/models", "emptyDir"),
        ("worker.modelCache.persistent=true", "/models", "asr-worker-default-models"),
        ("worker.modelCache.existingClaim=mine", "/models", "mine"),
        (S3, "/models", "emptyDir"),
        (f"{S3},worker.modelCache.persistent=true", "/models", "asr-worker-default-models"),
        (
            "worker.extraVolumes[0].name=models,worker.extraVolumes[0].persistentVolumeClaim"
            ".claimName=theirs",
            "/models",
            "theirs",
        ),
    ],
)
def test_models_lie_in_a_volume_that_both_containers_mount(
    render: Any, settings: str, folder: str, volume: str
) -> None:
    made = render(*(("--set", settings) if settings else ()))
    told = environment(worker(made))
    assert told["ASR_MODEL_CACHE"] == folder
    assert (told["HF_HOME"], told["MODELSCOPE_CACHE"]) == (
        f"{folder}/huggingface",
        f"{folder}/modelscope",
    )
    volumes = {each["name"]: each for each in pod(made)["volumes"]}
    own = volumes.get("models", {})
    found = own.get("persistentVolumeClaim", {}).get("claimName") or next(
        (kind for kind in own if kind != "name"), "store"
    )
    assert found == volume
    for container in (worker(made), *fetchers(made)):
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert mounts.get("models") == (None if volume == "store" else "/models")
    claims = [each["metadata"]["name"] for each in made.of_kind("PersistentVolumeClaim")]
    assert ("asr-worker-default-models" in claims) is (volume == "asr-worker-default-models")


def test_a_model_in_the_image_is_neither_fetched_nor_hidden(render: Any) -> None:
    made = render("--set", "worker.modelCache.inImage=true,worker.model.name=whisper-base")
    assert pod(made).get("initContainers", []) == []
    assert "/models" not in [each["mountPath"] for each in worker(made)["volumeMounts"]]
    assert not environment(worker(made)).keys() & {"ASR_MODEL_CACHE", "HF_HOME"}
    assert environment(worker(made))["ASR_MODEL"] == "whisper-base"


def test_offline_and_mirrors_are_told_to_both_containers(render: Any) -> None:
    made = render(
        "--set",
        "worker.model.offline=true,worker.model.mirrors={https://m.example:8443/asr,/mirror}",
        "--set",
        "worker.env.PIP_INDEX_URL=https://pip.example/simple",
    )
    for container in (worker(made), *fetchers(made)):
        told = environment(container)
        assert told["ASR_OFFLINE"] == "1"
        assert told["ASR_MODEL_MIRROR"] == "https://m.example:8443/asr,/mirror"
        assert told["PIP_INDEX_URL"] == "https://pip.example/simple"
    assert len(fetchers(made)) == 1, "it checks what is cached, and says what is missing"


def test_each_pool_has_a_model_of_its_own(render: Any) -> None:
    pools = (
        "pools[0].name=default,pools[0].model.name=whisper-base,"
        "pools[1].name=large,pools[1].model.name=large-v3-turbo,pools[1].gpu.enabled=true,"
        "pools[2].name=toy,pools[2].model.name=embedded"
    )
    made = render("--set", pools)
    named = [[each["command"][-1] for each in fetchers(made, p)] for p in ("default", "large")]
    assert named == [["whisper-base"], ["large-v3-turbo"]]
    assert fetchers(made, "toy") == []
    caches = {environment(worker(made, p))["ASR_MODEL_CACHE"] for p in ("default", "large")}
    assert caches == {IN_STORE}, "one cache for all"


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ("worker.gpu.enabled=false,worker.model.name=base", CPU),
        ("worker.gpu.enabled=true", GPU),
        ("worker.gpu.enabled=true,worker.model.name=base", WHISPER),
        ("worker.gpu.enabled=true,worker.model.name=me/it,worker.model.engine=whisper", WHISPER),
        ("worker.gpu.enabled=true,worker.model.name=base,worker.model.engine=automodel", GPU),
        ("worker.gpu.enabled=true,worker.model.name=base,images.worker.tag=mine", ":mine"),
    ],
)  # fmt: skip
def test_whisper_on_a_gpu_has_the_image_with_its_library(
    render: Any, settings: str, image: str
) -> None:
    made = render("--set", settings)
    assert worker(made)["image"].endswith(image)
    assert not fetchers(made) or fetchers(made)[0]["image"] == worker(made)["image"]


def test_a_download_does_not_count_as_a_failed_rollout(render: Any) -> None:
    sets = "worker.startupSeconds=1000,worker.model.name="
    assert deadline(render("--set", f"{sets}embedded")) == 1600
    assert deadline(render("--set", f"{sets}base")) == 2600
    assert deadline(render("--set", f"worker.startupSeconds=1000,{ARCHIVE}")) == 2600
    assert worker(render("--set", f"{sets}base"))["startupProbe"]["failureThreshold"] == 200


@pytest.mark.parametrize("name", ["fsmn", "silero", "energy"])
def test_what_finds_speech_is_the_worker_s_setting(render: Any, name: str) -> None:
    told = environment(worker(render("--set", f"worker.model.vad={name}")))
    assert told["ASR_VAD"] == name
    assert "ASR_VAD" not in environment(worker(render()))


REMOTE = {
    "model": {"engine": "remote"},
    "remote": {
        "url": "https://vllm.example:8443/v1",
        "model": "Qwen/Qwen3-ASR-1.7B",
        "existingSecret": "vllm",
        "concurrency": 64,
        "timeoutSeconds": 30,
    },
}


def test_a_server_of_models_elsewhere_is_told_with_its_key(render: Any) -> None:
    made = render("--set-json", f"worker={json.dumps(REMOTE)}", "--set", "caBundle.configMap=ours")
    told = environment(worker(made))
    assert {name: value for name, value in told.items() if "REMOTE" in name} == {
        "ASR_REMOTE_URL": "https://vllm.example:8443/v1",
        "ASR_REMOTE_MODEL": "Qwen/Qwen3-ASR-1.7B",
        "ASR_REMOTE_API_KEY": {"secretKeyRef": {"name": "vllm", "key": "key"}},
        "ASR_REMOTE_CONCURRENCY": "64",
        "ASR_REMOTE_TIMEOUT_SECONDS": "30",
        "ASR_REMOTE_CA_FILE": "/etc/asr-authorities/ca.crt",
    }
    assert told["ASR_ENGINE"] == "remote"
    assert "ASR_MODEL" not in told
    assert fetchers(made) == []


def test_a_server_of_models_beside_the_worker_is_there_before_it(render: Any) -> None:
    sidecar = {
        "image": "vllm/vllm-openai:v0.20.0",
        "args": ["--model", "Qwen/Qwen3-ASR-1.7B"],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "startupProbe": {
            "httpGet": {"path": "/health", "port": 8000},
            "periodSeconds": 10,
            "failureThreshold": 120,
        },
    }
    values = {"model": {"engine": "remote"}, "remote": {"sidecar": sidecar}}
    made = render("--set-json", f"worker={json.dumps(values)}")
    (server,) = pod(made)["initContainers"]
    assert server.items() >= sidecar.items()
    assert (server["name"], server["restartPolicy"]) == ("model-server", "Always")
    assert server["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert environment(worker(made))["ASR_REMOTE_URL"] == "http://localhost:8000/v1"
    assert worker(made)["image"] == CPU, "the GPU is the server's"
    assert deadline(made) == 900 + 1200 + 600


@pytest.mark.parametrize("values", [REMOTE, {"gpu": {"enabled": True}, "model": {"name": "turbo"}}])
def test_the_worker_reads_what_the_chart_tells_of_its_model(
    render: Any, values: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = worker(render("--set-json", f"worker={json.dumps(values)}"))
    for name, value in environment(container).items():
        monkeypatch.setenv(name, value if isinstance(value, str) else "of-a-secret")
    read = WorkerSettings(_env_file=None)  # type: ignore[call-arg]
    assert read.engine == values.get("model", {}).get("engine", "auto")
    assert read.model == values["model"].get("name", "embedded")
    remote = values.get("remote", {})
    assert (read.remote_url, read.remote_model) == (remote.get("url", ""), remote.get("model", ""))
    assert read.remote_concurrency == remote.get("concurrency", 16)
