"""The exported pair in a browser: a page, a function `createClassifier(url)`, and what builds their folder."""
