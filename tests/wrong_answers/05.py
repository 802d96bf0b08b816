"""Wrong answers to the exercises of lesson 05, each with words of what its check must say."""

WRONG = {
    "05.1": [
        ("sideways = ImageDataGenerator(width_shift_range=20 / 80)", "no shift of the rows"),
        ("sideways = ImageDataGenerator(height_shift_range=20 / 80)", "found up to 10"),
    ],
    "05.2": [
        (
            "pretrained = ImageDataGenerator(brightness_range=(0.8, 1.2), rescale=1 / 255,\n"
            "    preprocessing_function=lambda image: image / 127.5 - 1)",
            "found -0.003922 to 0.002353",
        ),
        (
            "pretrained = ImageDataGenerator(brightness_range=(0.8, 1.2),\n"
            "    preprocessing_function=lambda image: 2 * image - 1)",
            "found -1 to 407",
        ),
    ],
    "05.3": [
        (
            "def diversity(cover):\n"
            "    parts = [(cover == n).mean(axis=(1, 2, 3)) for n in range(9)]\n"
            "    with np.errstate(all='ignore'):\n"
            "        return -sum(part * np.log(part) for part in parts) / np.log(9)",
            "found NaN",
        ),
        (
            "def diversity(cover):\n"
            "    parts = [(cover == n).mean(axis=(1, 2, 3)) for n in range(9)]\n"
            "    return -sum(part * np.log(np.where(part > 0, part, 1)) for part in parts)",
            "as in the table, found 1.273",
        ),
    ],
}
