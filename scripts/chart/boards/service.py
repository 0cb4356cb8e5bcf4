"""Traffic, latency, errors, backlog, oldest wait."""

from __future__ import annotations

from chart.panels import FAILED, Dashboard, Panel, quantile, spread, stat, sum_rate

SERVICE = Dashboard(
    "service",
    "ASR service",
    (
        stat(
            "Oldest wait",
            "max(asr_queue_oldest_wait_seconds{})",
            "s",
            "How long the oldest task has waited for a worker",
        ),
        stat("Waiting", "sum(max by (pool, lane) (asr_queue_waiting{}))"),
        stat("In flight", "sum(max by (pool, lane) (asr_queue_in_flight{}))"),
        stat("Dead letters", "sum(max by (pool) (asr_queue_dead{}))"),
        stat("Queue readable", "min(max by (pool) (asr_queue_up{}))", "bool_yes_no"),
        stat(
            "Data lost",
            "max(asr_queue_data_lost{})",
            "bool_yes_no",
            "Redis and store do not belong together: docs/guarantees.md",
        ),
        Panel(
            "Requests", ((sum_rate("asr_http_requests_total", "status"), "{{status}}"),), "reqps"
        ),
        Panel(
            "Server errors",
            (
                (
                    f"({sum_rate('asr_http_requests_total', selector=FAILED)} or vector(0))"
                    f" / {sum_rate('asr_http_requests_total')}",
                    "share of requests",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Submit latency",
            tuple(
                (
                    quantile(q, "asr_http_request_duration_seconds", selector=',method="POST"'),
                    f"p{round(q * 100)}",
                )
                for q in (0.5, 0.95, 0.99)
            ),
            "s",
            text="From a request's first byte to its reply, the upload included",
        ),
        Panel(
            "Latency by route",
            ((quantile(0.95, "asr_http_request_duration_seconds", "route"), "{{route}} p95"),),
            "s",
        ),
        Panel(
            "Tasks",
            (
                (sum_rate("asr_tasks_submitted_total"), "accepted"),
                (sum_rate("asr_tasks_finished_total", "state"), "{{state}}"),
            ),
            "ops",
        ),
        Panel(
            "Backlog",
            (
                ("max by (pool, lane) (asr_queue_waiting{})", "{{pool}} {{lane}} waiting"),
                ("max by (pool, lane) (asr_queue_in_flight{})", "{{pool}} {{lane}} in flight"),
            ),
        ),
        Panel(
            "Oldest wait by pool",
            (("max by (pool) (asr_queue_oldest_wait_seconds{})", "{{pool}}"),),
            "s",
        ),
        Panel(
            "Wait in the queue",
            spread("asr_task_wait_seconds"),
            "s",
            text="From queued to claimed, of tasks that have been claimed",
        ),
        Panel(
            "Open audio",
            (("max by (pool) (sum by (pool, pod) (asr_queue_audio_seconds{}))", "{{pool}}"),),
            "s",
        ),
        Panel(
            "Not in line",
            (
                (
                    "sum(max by (pool, lane) (asr_queue_held{}))",
                    "held behind their tenant's others",
                ),
                ("sum(max by (pool) (asr_queue_delayed{}))", "backing off"),
                ("sum(max by (pool, lane) (asr_queue_orphans{}))", "of dead workers"),
            ),
        ),
        Panel("Uploads", ((sum_rate("asr_upload_bytes_total"), "received"),), "Bps"),
        Panel(
            "Webhooks and fetches",
            (
                ("max(asr_outbox_waiting{})", "webhooks to deliver"),
                ("max(asr_webhooks_dead{})", "webhooks given up"),
                ("max(asr_fetches_waiting{})", "recordings to fetch"),
            ),
        ),
        Panel(
            "Tries of the courier",
            (
                (
                    f"{sum_rate('asr_webhooks_total', 'outcome')} or vector(0)",
                    "webhook {{outcome}}",
                ),
                (f"{sum_rate('asr_fetches_total', 'outcome')} or vector(0)", "fetch {{outcome}}"),
            ),
            "ops",
        ),
        Panel(
            "Repairs in the last hour",
            (
                ("sum(increase(asr_queue_mended_total{}[1h])) or vector(0)", "mended"),
                ("sum(increase(asr_queue_losses_total{}[1h])) or vector(0)", "losses found"),
            ),
        ),
    ),
)
