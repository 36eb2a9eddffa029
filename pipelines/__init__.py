"""The DAGs, the recipes, where each step runs, the command line."""
