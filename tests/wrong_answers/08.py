"""Two wrong answers to each exercise of lesson 08, and a part of what its check says."""

BEFORE = ["data", "learn"]

MIXED = "mixed = shuffled((spectral, np.roll(land_cover, 3, axis=0)))\n"

WRONG = {
    "08.1": [
        (
            "def careful_batches():\n"
            '    yield {"spectral": spectral[::15] * np.nan}, {"land_cover": land_cover[::15]}',
            "expected no findings, found error: inputs['spectral']",
        ),
        (
            'careful_batches = ({"spectral": spectral[::15]}, {"land_cover": land_cover[::15]})',
            "expected a generator function, found tuple",
        ),
    ],
    "08.2": [
        ('rule = "shapes"', "found 'shapes'"),
        (
            "rule = contract.check(shuffled((spectral, land_cover)), compiled())",
            "expected the name of a rule as a string, found Report",
        ),
    ],
    "08.3": [
        (
            MIXED + "wrong = 0\n"
            "for numbers, classes in mixed.unbatch().as_numpy_iterator():\n"
            "    row = np.flatnonzero((spectral == numbers).all(axis=1))[0]\n"
            "    wrong += int(np.array_equal(classes, land_cover[row]))",
            "found 456: those that are right",
        ),
        (
            MIXED + "labels = np.concatenate([classes for _, classes in mixed])\n"
            "wrong = int((labels != land_cover).any(axis=1).sum())",
            "is each sample's row its own?",
        ),
    ],
}
