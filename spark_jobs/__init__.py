"""Filter rules, the Spark jobs that apply them, and the schema of a pair."""
