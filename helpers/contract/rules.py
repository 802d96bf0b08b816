"""The list of all rules, read from ``RULES.md`` beside this file: when each runs, what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.contract.report import ERROR, WARNING

#: What a finding means. The first is dropped where Keras, asked about the batch, takes it.
FAILS, WRONG, LUCK = "fails", "wrong", "luck"


@dataclass(frozen=True)
class Rule:
    """A rule; `document` says what must hold, or what goes wrong, and `lesson` links to it.

    `expected` and `change` stand in a finding that has no words of its own for them.
    """

    id: str
    stage: str
    document: str
    rank: str
    expected: str
    change: str
    lesson: str

    @property
    def advice(self) -> tuple[str, str]:
        """Return what should be, and what fixes it."""
        return self.expected, self.change

    def severity(self, accepted: bool | None) -> str:
        """Return a finding's severity, empty for none; `accepted` None: Keras was not asked."""
        if self.rank == FAILS and accepted:
            return ""
        return WARNING if self.rank == LUCK else ERROR


def _read() -> dict[str, Rule]:
    text = Path(__file__).with_name("RULES.md").read_text(encoding="utf-8")
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {line[0].strip("`"): Rule(line[0].strip("`"), *line[1:]) for line in lines}


RULES = _read()
