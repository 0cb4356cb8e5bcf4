"""`asr operator`: the Kubernetes operator, and what is installed beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from asr_cli.console import fail

if TYPE_CHECKING:
    from asr_operator.settings import OperatorSettings

EXAMPLES = """
Examples:

- `asr operator` in a pod serves the pod's own namespace
- `asr operator --namespace asr --namespace speech --liveness http://[::]:8080/healthz`
- `asr operator --print-crd | kubectl apply -f -`
"""


def operator(
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Serve this namespace; repeatable.  [default: ASR_WATCH_NAMESPACES]"),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", help="Serve every namespace.")
    ] = False,
    liveness: Annotated[
        str | None,
        typer.Option(help="URL that answers the liveness probe.  [default: ASR_LIVENESS_URL]"),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Prometheus port.  [default: ASR_METRICS_PORT]"),
    ] = None,
    print_crd: Annotated[
        bool, typer.Option("--print-crd", help="Print the WorkerPool CRD and exit.")
    ] = False,
    print_role: Annotated[
        bool, typer.Option("--print-role", help="Print the RBAC rules it needs and exit.")
    ] = False,
) -> None:
    """Run the Kubernetes operator, which scales the workers with the queue."""
    if print_crd or print_role:
        from asr_operator.cluster.manifests import crd_text, role_rules_text

        typer.echo(crd_text() if print_crd else role_rules_text(), nl=False)
        return
    if namespace and all_namespaces:
        fail("--namespace and --all-namespaces exclude each other", status=2)
    from asr_operator.settings import OperatorSettings

    given = {
        "watch_namespaces": ("*",) if all_namespaces else tuple(namespace or ()),
        "liveness_url": liveness,
        "metrics_port": metrics_port,
    }
    wanted = {name: value for name, value in given.items() if value not in (None, ())}
    _run(OperatorSettings().model_copy(update=wanted))


def _run(settings: OperatorSettings) -> None:
    import logging

    import kopf

    from asr_core.process.logs import configure_logging
    from asr_core.process.setting_names import warn_of_unknown_settings
    from asr_operator import handlers  # kopf's registry is filled by this import
    from asr_operator.cluster.rest_client import load_configuration
    from asr_operator.program import ALL_NAMESPACES, Operator, namespaces_of

    operator = Operator(settings, load_configuration())
    namespaces = namespaces_of(settings)
    is_clusterwide = ALL_NAMESPACES in namespaces
    configure_logging(settings, "operator")
    warn_of_unknown_settings()
    for chatty in ("kopf", "aiohttp.access"):  # a line for each event of a pool, and each probe
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        kopf.run(
            registry=handlers.REGISTRY,
            clusterwide=is_clusterwide,
            namespaces=() if is_clusterwide else namespaces,
            standalone=True,
            # Else kopf asks for the user's name, which a pod's user need not have.
            identity=cast("Any", operator.identity),
            memo=kopf.Memo(operator=operator),
        )
    except Exception as error:  # kopf's own, around what its start-up handler raised
        if isinstance(error.__cause__, kopf.PermanentError):
            fail(str(error.__cause__))
        raise
