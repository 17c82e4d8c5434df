from __future__ import annotations

from agent.plan import Comparison, Ledger, Trust, compare
from tests.plan.conftest import Household

MB = 10**6


class Module:
    """A module that counts what the household moves, and a little more."""

    def __init__(self, home: Household) -> None:
        self.home, self.received, self.sent = home, 0, 0

    def use(self, received: int, *, counted: int | None = None) -> None:
        self.received += received if counted is None else counted
        self.home.use(received, seconds=3600)

    def ask(self, *, read_before_s: float = 0.0) -> Comparison:
        moment = self.home.clock.now()
        self.home.ledger, said = compare(
            self.home.ledger, self.received, self.sent, moment.boot_s - read_before_s, moment, self.home.plan
        )
        return said


def test_what_a_power_cut_lost_is_recovered_where_the_module_kept_it(home: Household) -> None:
    module = Module(home)
    module.use(100 * MB)
    module.ask()
    on_disk = Ledger.from_dict(home.ledger.to_dict())
    module.use(30 * MB)  # never written
    home.ledger = on_disk
    home.reboot("boot-2", off_s=60, trust=Trust.SYNC)
    module.use(5 * MB)
    assert module.ask() == Comparison(recovered_bytes=30 * MB)
    assert home.ledger.counted() == (135 * MB, 0)
    assert home.ledger.recovered_bytes == 30 * MB
    assert module.ask() == Comparison(), "once"
    module.use(1 * MB)
    assert module.ask() == Comparison()
    assert home.ledger.counted() == (136 * MB, 0)


def test_a_module_that_lost_its_counters_too_recovers_nothing(home: Household) -> None:
    module = Module(home)
    module.use(100 * MB)
    module.ask()
    home.reboot("boot-2", trust=Trust.SYNC)
    module.received = 0
    module.use(5 * MB)
    assert module.ask() == Comparison()
    assert home.ledger.counted() == (105 * MB, 0)


def test_more_than_a_power_cut_can_cost_is_not_believed(home: Household) -> None:
    module = Module(home)
    module.use(100 * MB)
    module.ask()
    home.reboot("boot-2", trust=Trust.SYNC)
    module.received += 900 * MB
    module.use(5 * MB)
    assert module.ask() == Comparison(refused_bytes=900 * MB)
    assert home.ledger.counted() == (105 * MB, 0)


def test_bytes_that_the_kernel_was_not_yet_asked_about_are_no_loss(home: Household) -> None:
    module = Module(home)
    module.use(10 * MB)
    module.ask()
    home.reboot("boot-2", trust=Trust.SYNC)
    home.look()
    home.clock.advance(10)
    module.received += 20 * MB  # passed, and not yet read from the interface
    assert module.ask() == Comparison()
    module.use(20 * MB, counted=0)
    assert module.ask() == Comparison()
    assert home.ledger.counted() == (30 * MB, 0)


def test_drift_is_told_and_changes_nothing(home: Household) -> None:
    module = Module(home)
    module.ask()
    module.use(10_000 * MB, counted=10_100 * MB)
    assert module.ask() == Comparison(drift_bytes=100 * MB)
    for _ in range(5):
        module.use(1_000 * MB, counted=1_200 * MB)
    said = module.ask()
    assert said == Comparison(drift_bytes=1_100 * MB, drifting=True)
    assert home.ledger.counted() == (15_000 * MB, 0)
