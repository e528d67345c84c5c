"""Hours of varied healthy load, simulated: how often somebody is told of what is none."""

from __future__ import annotations

from tests.perftui.findings.healthy import false_alarms, told

HOURS = 10


def main() -> None:
    """Print the false alarms of each hour, judged every five seconds."""
    hours = [false_alarms(told(seed, every_s=5)) for seed in range(1, HOURS + 1)]
    for seed, alarms in enumerate(hours, 1):
        print(f"hour {seed}: {len(alarms)} false alarms", *alarms, sep="\n  ")
    print(f"{sum(not alarms for alarms in hours)} of {HOURS} hours without a finding")


if __name__ == "__main__":
    main()
