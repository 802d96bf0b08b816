"""Wrong answers to the exercises of lesson 06, each with words of what its check must say."""

WRONG = {
    "06.1": [
        (
            "filling = transforms.SharedTransforms(\n"
            "    ImageDataGenerator(rotation_range=90, fill_mode='constant'), seed=7, mask_fill=0)",
            "found [0, 5]",
        ),
        (
            "filling = transforms.SharedTransforms(\n"
            "    ImageDataGenerator(rotation_range=90), seed=7, mask_fill=tiles.OTHER)",
            "found [5]",
        ),
    ],
    "06.2": [
        (
            "def brightness_table(count, seed, epoch):\n"
            "    numbers = np.random.default_rng(seed).random(count)\n"
            "    return pd.DataFrame({'brightness': 0.8 + 0.4 * numbers})",
            "another epoch: expected 0",
        ),
        (
            "def brightness_table(count, seed, epoch):\n"
            "    numbers = np.random.default_rng([seed, epoch, count]).random(count)\n"
            "    return pd.DataFrame({'brightness': 0.8 + 0.4 * numbers})",
            "a table of 200 lines: expected 100",
        ),
    ],
    "06.3": [
        (
            "def assemble_measured(images, rows):\n"
            "    stored = tiles.columns('train', ['vegetated_fraction'])\n"
            "    return images['imagery'], stored[rows]",
            "found 0.02, 0.98, 0.00",
        ),
        (
            "def assemble_measured(images, rows):\n"
            "    part = np.isin(images['cover'], range(1, 6)).mean(dtype='float32')\n"
            "    return images['imagery'], part",
            "expected the shape (3, 1)",
        ),
    ],
}
