"""Real-time factor, batch fill, stage times, GPU."""

from __future__ import annotations

from chart.panels import ENGINE, RATE, Dashboard, Panel, mean, quantile, spread, stat, sum_rate

WORKERS = Dashboard(
    "workers",
    "ASR workers",
    (
        stat("Workers", "count(asr_worker_busy{}) or vector(0)"),
        stat("Busy", "avg(asr_worker_busy{})", "percentunit"),
        stat(
            "Audio per second",
            sum_rate("asr_audio_seconds_total"),
            "none",
            "Seconds of audio transcribed in a second, by all workers",
        ),
        stat(
            "Speech",
            f"{sum_rate('asr_speech_seconds_total')} / {sum_rate('asr_audio_seconds_total')}",
            "percentunit",
            "Share of the audio in which somebody speaks: the rest is dropped before the engine",
        ),
        stat(
            "Times real time",
            f"{sum_rate('asr_audio_seconds_total')} / "
            + sum_rate("asr_stage_duration_seconds_sum", selector=ENGINE),
            "none",
            "Audio over the time that engines worked; the real-time factor is one over this",
        ),
        stat(
            "Batch fill",
            mean("asr_batch_fill_ratio"),
            "percentunit",
            "Audio in batches over their padded size",
        ),
        stat("Tasks per second", sum_rate("asr_task_duration_seconds_count"), "ops"),
        Panel(
            "Throughput by pod",
            ((sum_rate("asr_audio_seconds_total", "pod"), "{{pod}}"),),
            "none",
            text="Seconds of audio in a second",
        ),
        Panel(
            "Busy by pod",
            ((f"avg by (pod) (avg_over_time(asr_worker_busy{{}}{RATE}))", "{{pod}}"),),
            "percentunit",
        ),
        Panel(
            "Real-time factor",
            (
                (
                    f"{sum_rate('asr_stage_duration_seconds_sum', 'pod', ENGINE)} / "
                    + sum_rate("asr_audio_seconds_total", "pod"),
                    "{{pod}}",
                ),
            ),
            "none",
            text="Engine time over audio: below 1 is faster than the recording",
        ),
        Panel(
            "Batch fill by pod", ((mean("asr_batch_fill_ratio", "pod"), "{{pod}}"),), "percentunit"
        ),
        Panel(
            "Time of each stage",
            ((mean("asr_stage_duration_seconds", "stage"), "{{stage}}"),),
            "s",
        ),
        Panel(
            "Slow stages",
            ((quantile(0.95, "asr_stage_duration_seconds", "stage"), "{{stage}} p95"),),
            "s",
        ),
        Panel(
            "Time of a task",
            spread("asr_task_duration_seconds"),
            "s",
            text="From claimed to finished",
        ),
        Panel(
            "Trouble",
            (
                (sum_rate("asr_leases_lost_total"), "leases lost"),
                (sum_rate("asr_fenced_results_total"), "results refused: claimed again meanwhile"),
            ),
            "ops",
        ),
        Panel(
            "Take no work",
            (("max by (pod, reason) (asr_worker_blocked{})", "{{pod}}: {{reason}}"),),
            text="Their disk is full or cannot be written, or the store or their model server: "
            "docs/alerts.md",
        ),
        Panel(
            "Requests to model servers",
            ((sum_rate("asr_model_server_requests_total", "outcome"), "{{outcome}}"),),
            "reqps",
            text="Engine remote, by status or what went wrong",
        ),
        Panel(
            "Time of a request to a model server",
            spread("asr_model_server_request_seconds"),
            "s",
        ),
        Panel(
            "Requests at model servers",
            (("sum by () (asr_model_server_requests_in_flight{})", "under way"),),
        ),
        Panel(
            "GPU use",
            (("avg by (pod) (DCGM_FI_DEV_GPU_UTIL{})", "{{pod}}"),),
            "percent",
            text="From NVIDIA's dcgm-exporter",
        ),
        Panel(
            "GPU memory",
            (("sum by (pod) (DCGM_FI_DEV_FB_USED{}) * 1048576", "{{pod}}"),),
            "bytes",
            text="From NVIDIA's dcgm-exporter",
        ),
    ),
)
