"""A finding, and the report that shows all of them."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace

ERROR, WARNING, NOT_CHECKED = "error", "warning", "not checked"


class ContractError(ValueError):
    """A dataset does not agree with the model; the message is the whole report."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not agree.

    Parameters
    ----------
    severity : str
        ``"error"``: fails or trains wrongly. ``"warning"``: works by luck. ``"not checked"``.
    leaf : str
        Path of the leaf, or the argument, such as ``targets['composition']``.
    found, expected, change : str
        What is, what should be, and what fixes it.
    rule : str
        The id of the rule that found it; ``RULES.md`` lists them.

    Examples
    --------
    >>> print(Finding("warning", "validation_data", "shuffled", "one order", rule="shuffled"))
    warning: validation_data: expected one order, found shuffled [shuffled]
    """

    severity: str
    leaf: str
    found: str
    expected: str = ""
    change: str = ""
    rule: str = ""

    def __str__(self) -> str:
        text = f"{self.severity}: {self.leaf}: "
        text += f"expected {self.expected}, found {self.found}" if self.expected else self.found
        return text + f"; {self.change}" * bool(self.change) + f" [{self.rule}]" * bool(self.rule)


class Report:
    """What `check` found; prints as a table in a notebook, and as lines of text.

    Parameters
    ----------
    findings : list of Finding
        Errors come first; four or more of one rule are shown as one.

    Examples
    --------
    >>> report = Report([Finding("error", "inputs", "one array", "2 inputs", "yield a tuple")])
    >>> report.ok, len(report.errors)
    (False, 1)
    """

    def __init__(self, findings: list[Finding]) -> None:
        order = (ERROR, WARNING, NOT_CHECKED)
        self.findings = sorted(_folded(findings), key=lambda found: order.index(found.severity))

    @property
    def errors(self) -> list[Finding]:
        """What will fail, or train wrongly."""
        return [finding for finding in self.findings if finding.severity == ERROR]

    @property
    def warnings(self) -> list[Finding]:
        """What works by luck."""
        return [finding for finding in self.findings if finding.severity == WARNING]

    @property
    def not_checked(self) -> list[Finding]:
        """What could not be known."""
        return [finding for finding in self.findings if finding.severity == NOT_CHECKED]

    @property
    def ok(self) -> bool:
        """Whether there is no error and no warning."""
        return not self.errors and not self.warnings

    def __bool__(self) -> bool:
        return self.ok

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join([self._summary(), *map(str, self.findings)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = ("", "leaf", "what is", "what should be", "what fixes it", "rule")
        rows = [(f.severity, f.leaf, f.found, f.expected, f.change, f.rule) for f in self]
        table = ["<table>", _row(head, "th"), *(_row(row, "td") for row in rows), "</table>"]
        return "\n".join([f"<p>{html.escape(self._summary())}</p>", *(table if rows else [])])

    def _summary(self) -> str:
        errors, warnings, left = len(self.errors), len(self.warnings), len(self.not_checked)
        text = "no errors, no warnings"
        if not self.ok:
            text = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
        return text + (f"; {left} thing{'s' * (left != 1)} not checked" if left else "")

    def raise_for_errors(self) -> None:
        """Raise if there is an error; warnings alone do not raise.

        Raises
        ------
        ContractError
            With the whole report, if there is an error.
        """
        if self.errors:
            raise ContractError(str(self))


def _folded(findings: list[Finding]) -> list[Finding]:
    """Return each finding once, and one in place of four or more of one rule."""
    kinds: dict[tuple[str, str], dict[tuple[str, str], Finding]] = {}
    for finding in findings:
        kind = kinds.setdefault((finding.rule or finding.leaf, finding.severity), {})
        kind.setdefault((finding.leaf, finding.change), finding)
    folded: list[Finding] = []
    for first, *others in (list(kind.values()) for kind in kinds.values()):
        if len(others) > 2:
            first, others = replace(first, found=f"{first.found} (and {len(others)} more)"), []
        folded += [first, *others]
    return folded


def _row(cells: tuple[str, ...], tag: str) -> str:
    cell = f'<{tag} style="text-align:left">{{}}</{tag}>'
    return "<tr>" + "".join(cell.format(html.escape(text)) for text in cells) + "</tr>"
