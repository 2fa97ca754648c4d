"""The project's own corpus: families of texts as data files, their generator, and disguises."""
