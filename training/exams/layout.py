"""Names of the files and folders of a data set, and the error that says what is wrong with one."""

SPLIT = "test"
NAMES, TEMPLATES = "classnames", "zeroshot_classification_templates"
SUFFIXES = {"en": "", "zh": "_zh"}


class ExamError(ValueError):
    """A data set cannot be evaluated as it is; the message says what is wrong with which file."""


class NoImagesError(ExamError, FileNotFoundError):
    """A folder is no data set in any layout."""
