"""The exported pair in a browser: a page, a function `createClassifier(url)`, and their builder."""
