"""The steps of the DAGs: one a file, the function, then its KFP face."""
