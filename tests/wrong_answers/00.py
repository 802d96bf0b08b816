"""Two wrong answers to each exercise of lesson 00, and a part of what its check says."""

BEFORE = ["cell-03", "cell-06", "cell-09", "cell-11", "cell-12"]

WRONG = {
    "00.1": [
        ('roughest = "snow_ice"', "expected the largest mean, found that of 'snow_ice'"),
        ('roughest = table["roughness"].idxmax()', "expected one of ['barren'"),
    ],
    "00.2": [
        (
            'two_targets = (batch["imagery"], batch["land_cover"], batch["composition"])',
            "expected a leaf targets[0] (32, 8) float32, found inputs, targets, weights",
        ),
        (
            'two_targets = (batch["imagery"], [batch["land_cover"], batch["composition"]])',
            "found a list",
        ),
    ],
    "00.3": [
        (
            "def site_batches():\n"
            "    for start in range(0, 400, 100):\n"
            "        rows = slice(start, start + 100)\n"
            '        yield streams["site"][rows], streams["composition"][rows]',
            "found [100, 100, 100, 100]",
        ),
        (
            "def site_batches():\n"
            "    for start in range(0, 480, 100):\n"
            "        rows = slice(start, start + 100)\n"
            '        site = streams["site"][rows]\n'
            '        yield site, streams["composition"][: len(site)]',
            "composition: expected 480 rows in order, found",
        ),
    ],
}
