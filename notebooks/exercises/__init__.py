"""Checks of the exercises: each says precisely what is not yet right with an answer.

In a lesson: ``import exercises``, and below an exercise ``exercises.check("01.1", answer)``. The
checks of lesson 01 are the functions of `exercises.lesson_01`: that of exercise 01.2 is
``exercise_2``. It returns None for a right answer, and else a sentence without a full stop.

A lesson imports this before `helpers`, so that these are found where they are not installed, as in
an editor whose kernel is not the project's.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

if importlib.util.find_spec("helpers") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))


def check(name: str, *answers: Any) -> None:
    """Print whether the answers to an exercise are right, or what is not.

    Parameters
    ----------
    name : str
        Lesson and number, such as ``"01.2"``.
    *answers
        What the exercise asks for; ``...`` where it is still to be written.
    """
    lesson, number = name.split(".")
    checks = importlib.import_module(f"exercises.lesson_{lesson}")
    if any(answer is ... for answer in answers):
        print(f"exercise {name}: not begun: write your answer in place of the dots")
        return
    try:
        missing = getattr(checks, f"exercise_{number}")(*answers)
    except Exception as error:
        found = f"{type(error).__name__}: {error}".partition("\n")[0]
        missing = f"the check could not use your answer and met {found}"
    print(f"exercise {name}: " + ("right" if missing is None else f"not yet: {missing}"))
