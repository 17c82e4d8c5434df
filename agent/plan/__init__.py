"""PURE. The data plan: billing period, counter deltas, ledger, policy."""

from agent.plan.counters import Delta, Epoch, Sample, Survey
from agent.plan.ledger import (
    HourBytes,
    Ledger,
    OperatorCount,
    Override,
    TopUp,
    charge_management,
    closed_hours,
    committed,
    newest,
    override,
    top_up,
)
from agent.plan.model import Moment, Plan, Rates, Step, Trust
from agent.plan.module_counters import Comparison, compare
from agent.plan.notices import Notice, notices
from agent.plan.observing import observe, passed_over, survey
from agent.plan.period import BillingPeriod, period_at, zone_problem
from agent.plan.policy import (
    Decision,
    Usage,
    decide,
    forecast,
    usage,
)
from agent.plan.reconciliation import is_large, measured, meters_apart, reconcile
from agent.plan.sampling import (
    COMMIT_BYTES,
    LATENCY_S,
    commit_bytes,
    commit_due,
    commit_latency_s,
    sample_interval_s,
    unwritten_bytes,
)
from agent.plan.settling import settle
from agent.plan.sim import read_card

__all__ = [
    "COMMIT_BYTES",
    "LATENCY_S",
    "BillingPeriod",
    "Comparison",
    "Decision",
    "Delta",
    "Epoch",
    "HourBytes",
    "Ledger",
    "Moment",
    "Notice",
    "OperatorCount",
    "Override",
    "Plan",
    "Rates",
    "Sample",
    "Step",
    "Survey",
    "TopUp",
    "Trust",
    "Usage",
    "charge_management",
    "closed_hours",
    "commit_bytes",
    "commit_due",
    "commit_latency_s",
    "committed",
    "compare",
    "decide",
    "forecast",
    "is_large",
    "measured",
    "meters_apart",
    "newest",
    "notices",
    "observe",
    "override",
    "passed_over",
    "period_at",
    "read_card",
    "reconcile",
    "sample_interval_s",
    "settle",
    "survey",
    "top_up",
    "unwritten_bytes",
    "usage",
    "zone_problem",
]
