"""What the lessons share: one module for each link of the chain generator, dataset, model.

Nothing happens on import: each module is imported by its name, as in
``from helpers import datasets``. helpers/README.md says what each is for, and what it needs
beside it.
"""
