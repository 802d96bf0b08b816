"""Wrong answers to the exercises of lesson 10, each with words of what its check must say."""

WRONG = {
    "10.1": [
        (
            "shifting = keras.layers.RandomTranslation(0.1, 0.3, fill_mode='nearest')",
            "along the rows: expected shifts of up to 19.2 pixels",
        ),
        (
            "shifting = keras.layers.RandomTranslation(0.3, 0.1)",
            "so the fill mode is another",
        ),
    ],
    "10.2": [
        (
            "def inverted(images, lines):\n"
            "    moved = leaving.affine(255 - images, lines, fill_mode='constant')\n"
            "    return moved / 255",
            "the border: expected 1.00 (0 inverted), found 0.0",
        ),
        (
            "def inverted(images, lines):\n"
            "    return 255 - leaving.affine(images, lines, fill_mode='constant')",
            "expected values from 0 to 1, found up to 255.0",
        ),
    ],
    "10.3": [
        (
            "def rows_of_machine(order, machine, machines):\n    return order[machine::machines]",
            "479 rows, 2 machines: expected 239 rows on machine 0, found 240",
        ),
        (
            "def rows_of_machine(order, machine, machines):\n"
            "    size = len(order) // machines\n"
            "    return order[machine : machine + size]",
            "found 239 a second time",
        ),
    ],
}
