"""API keys as plain data."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from asr_api.settings.api import ApiSettings
from asr_core.access import ApiKey, Scope, key_digest, new_secret
from asr_core.access.api_key import is_secret
from asr_core.process.logs import mask_credentials
from asr_worker.metrics import MOST_LABELLED_TENANTS, WorkerMetrics


def test_a_key_is_its_prefix_and_43_letters_and_no_two_are_alike() -> None:
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(is_secret(secret) for secret in made)
    assert not any(map(is_secret, ("", "asr_", "asr_" + "-" * 43, "asr_" + "a" * 44)))


def test_a_digest_is_the_sha_256_of_the_whole_key() -> None:
    assert key_digest("asr_x") == hashlib.sha256(b"asr_x").hexdigest()


def test_admin_holds_every_scope_and_no_other_does() -> None:
    admin = ApiKey("1", "n", "t", frozenset({Scope.ADMIN}), 0.0)
    reader = ApiKey("1", "n", "t", frozenset({Scope.READ}), 0.0)
    assert all(admin.allows(scope) for scope in Scope)
    assert [scope for scope in Scope if reader.allows(scope)] == [Scope.READ]


def test_no_log_line_holds_a_key_wherever_it_stands() -> None:
    secret = new_secret()
    told = mask_credentials(None, "", {"event": f"sent {secret}", "headers": [secret]})
    assert secret not in str(told)
    assert secret not in repr(ApiSettings(_env_file=None, bootstrap_key=secret))


def test_a_bootstrap_key_that_could_be_guessed_is_refused_at_start() -> None:
    with pytest.raises(ValidationError):
        ApiSettings(_env_file=None, bootstrap_key="changeme")


def test_the_metric_per_tenant_has_a_hundred_labels_and_one_for_the_others() -> None:
    from prometheus_client import CollectorRegistry

    metrics = WorkerMetrics(CollectorRegistry())
    for number in range(3 * MOST_LABELLED_TENANTS):
        metrics.count_tenant_audio(f"tenant-{number}", 2.0)
    metrics.count_tenant_audio("tenant-0", 1.0)
    [family] = [f for f in metrics.registry.collect() if f.name == "asr_tenant_audio_seconds"]
    values = {s.labels["tenant"]: s.value for s in family.samples if s.name.endswith("_total")}
    assert len(values) == MOST_LABELLED_TENANTS + 1
    assert values["tenant-0"] == 3.0
    assert values["_other"] == 2.0 * 2 * MOST_LABELLED_TENANTS
