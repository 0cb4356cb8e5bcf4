"""Replicas wanted and had, decisions, holds."""

from __future__ import annotations

from chart.panels import Dashboard, Panel, spread, stat, sum_rate

OPERATOR = Dashboard(
    "operator",
    "ASR operator",
    (
        stat("Leads", "max(asr_operator_leading{})", "bool_yes_no"),
        stat("Reads the queue", "min(asr_operator_signal_up{})", "bool_yes_no"),
        stat("Replicas", "sum(asr_operator_replicas{})"),
        stat("Ready", "sum(asr_operator_ready_replicas{})"),
        stat("Wanted", "sum(asr_operator_desired_replicas{})"),
        stat("Oldest wait", "max(asr_operator_oldest_wait_seconds{})", "s"),
        Panel(
            "Replicas by pool",
            (
                ("max by (pool) (asr_operator_desired_replicas{})", "{{pool}} wanted"),
                ("max by (pool) (asr_operator_max_replicas{})", "{{pool}} at most"),
                ("max by (pool) (asr_operator_replicas{})", "{{pool}} set"),
                ("max by (pool) (asr_operator_ready_replicas{})", "{{pool}} ready"),
            ),
        ),
        Panel(
            "Work",
            (
                ("max by (pool) (asr_operator_waiting{})", "{{pool}} waiting"),
                ("max by (pool) (asr_operator_in_flight{})", "{{pool}} in flight"),
            ),
        ),
        Panel(
            "Decisions",
            ((sum_rate("asr_operator_decisions_total", "pool, reason"), "{{pool}} {{reason}}"),),
            "ops",
            text="One a tick, by the plan's reason: what it does, and why it holds",
        ),
        Panel(
            "Changes of replicas in ten minutes",
            (
                (
                    "sum by (pool, direction) (increase(asr_operator_scales_total{}[10m]))"
                    " or vector(0)",
                    "{{pool}} {{direction}}",
                ),
            ),
        ),
        Panel(
            "Oldest wait by pool",
            (("max by (pool) (asr_operator_oldest_wait_seconds{})", "{{pool}}"),),
            "s",
        ),
        Panel(
            "Open audio",
            (("max by (pool) (asr_operator_backlog_audio_seconds{})", "{{pool}}"),),
            "s",
        ),
        Panel("Time of a tick", spread("asr_operator_tick_duration_seconds"), "s"),
        Panel(
            "Trouble",
            (
                (
                    f"{sum_rate('asr_operator_tick_errors_total')} or vector(0)",
                    "ticks that failed",
                ),
                (
                    f"{sum_rate('asr_operator_signal_errors_total')} or vector(0)",
                    "queue unreadable",
                ),
            ),
            "ops",
        ),
    ),
)
