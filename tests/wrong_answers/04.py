"""Two wrong answers to each exercise of lesson 04, and a part of what its check says."""

BEFORE: list[str] = []

WRONG = {
    "04.1": [
        ('def to_8_bits(array):\n    return array.clip(0, 255).astype("uint8")', "254 of 256"),
        ("def to_8_bits(array):\n    return array / 257", "expected uint8"),
    ],
    "04.2": [
        (
            "def pairs_of(photos, masks):\n    return list(zip(sorted(photos), sorted(masks)))",
            "pair 1: expected ('img2.jpg', '02.png'), found ('img10.jpg', '02.png')",
        ),
        (
            "def pairs_of(photos, masks):\n    return list(zip(photos, masks))",
            "pair 0: expected ('img1.jpg', '01.png')",
        ),
    ],
    "04.3": [
        (
            "def split_rows(table):\n"
            "    order = np.random.default_rng(0).permutation(len(table))\n"
            "    return order[6:], order[:6]",
            "expected no place in both splits",
        ),
        (
            "def split_rows(table):\n"
            '    held_out = table["place"].isin(table["place"].unique()[:2])\n'
            "    return table.index[~held_out], table.index[held_out]",
            "expected each position from 0 to 29 once, found 30 from 100 to 129",
        ),
    ],
}
