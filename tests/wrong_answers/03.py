"""Two wrong answers to each exercise of lesson 03, and a part of what its check says."""

BEFORE = ["cell-03"]

WRONG = {
    "03.1": [
        (
            "def only_known_inputs(inputs, targets):\n"
            '    return {name: inputs[name] for name in ("imagery", "site")}',
            "expected a leaf inputs['imagery']",
        ),
        (
            "def only_known_inputs(inputs, targets):\n    return inputs, targets",
            "expected no leaf inputs['altitude']",
        ),
    ],
    "03.2": [
        (
            'spectral = tiles.columns("train", tiles.SPECTRAL)\n'
            "def with_spectral(images, rows):\n"
            '    inputs = {"imagery": images["imagery"], "site": site[rows], '
            '"spectral": spectral[: len(rows)]}\n'
            '    return inputs, {"land_cover": land_cover[rows], "composition": composition[rows]}',
            "expected those of rows [5, 0, 479], found 0 of 3",
        ),
        (
            'spectral = tiles.columns("train", tiles.SPECTRAL)\n'
            "def with_spectral(images, rows):\n"
            '    inputs = (images["imagery"], site[rows], spectral[rows])\n'
            '    return inputs, {"land_cover": land_cover[rows], "composition": composition[rows]}',
            "expected a leaf inputs['imagery']",
        ),
    ],
    "03.3": [
        (
            "def half_for_water(inputs, targets):\n"
            '    return inputs, targets, 1.0 - 0.5 * targets["land_cover"][:, 7]',
            "expected a leaf weights['land_cover']",
        ),
        (
            "def half_for_water(inputs, targets):\n"
            '    half = 1.0 - 0.5 * targets["land_cover"][:, 7]\n'
            '    return inputs, targets, {"land_cover": half, "composition": half}',
            "weights['composition']: expected [1, 1, 1]",
        ),
    ],
}
