"""Make a reader's own files, as README's "Your own data" expects them, with a few faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

LABELS = ("cat", "dog", "hen")


def make(folder: Path) -> None:
    """Write 60 photographs of ten places and `survey.csv`; the last four rows are faulty."""
    random = np.random.default_rng(0)
    (folder / "photos").mkdir()
    lines = []
    for row in range(60):
        label = row % 3
        size = [(120, 90), (90, 120), (100, 100)][row % 3]
        pixels = random.integers(0, 100, (size[1], size[0], 3), "uint8")
        pixels[..., label] += 120  # red, green or blue: something to learn
        exif = Image.Exif()
        exif[274] = 6 if row % 7 == 0 else 1
        Image.fromarray(pixels).save(folder / "photos" / f"img{row}.jpg", exif=exif)
        place, height = f"place {row // 6}", float(random.normal(100, 20))
        lines.append((f"img{row}.jpg", LABELS[label], place, height))
    table = pd.DataFrame(lines, columns=["photo", "label", "place", "height"])
    table.loc[56, "height"] = np.nan
    table["remark"] = np.where(table.index == 3, "blurred", None)  # a column that nobody needs
    (folder / "photos" / "img57.jpg").unlink()
    whole = (folder / "photos" / "img58.jpg").read_bytes()
    (folder / "photos" / "img58.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "photos" / "img59.jpg").write_bytes((folder / "photos" / "img2.jpg").read_bytes())
    table.to_csv(folder / "survey.csv", index=False)
