"""What a recipe says of its published exams; values only, so that a recipe imports no framework."""

from dataclasses import dataclass

KINDS = ("elevater", "classification", "retrieval")
LANGUAGES = ("en", "zh")
MODELS = ("teacher", "student")


@dataclass(frozen=True)
class Labels:
    """Class names and templates to use instead of the project's or the set's own.

    A folder with `SET/classnames.txt`, `SET/zeroshot_classification_templates.txt` and their twins
    `classnames_zh.txt`, `zeroshot_classification_templates_zh.txt`, each a text file or `.json` of the forms
    that training/elevater reads; what is not there stays as it is. A file directly in the folder goes for all
    sets. `content` is filled in as the recipe is resolved.
    """

    path: str
    content: str = ""


@dataclass(frozen=True)
class HubSet:
    """A data set on a hub by its id and the commit that pins it; `name` is the set's name in the exam."""

    name: str
    repository: str
    revision: str


@dataclass(frozen=True)
class ExamSource:
    """An exam, or several of one kind, that lie in one folder.

    Attributes:
        kind: `elevater` (a folder of its sets), `classification` (sets that bring their class names, such as
            ImageNet-1k) or `retrieval` (pair sets). A folder that is itself a set is an exam of one.
        path: a folder here or in object storage; None when everything comes from a hub.
        content: filled in when the recipe is resolved.
        name: stands for the exam in results; by default the folder's name.
        sets: names of those to sit; empty for all.
        languages: those to sit it in.
        models: who sits it; a large teacher may take days.
        labels: class names and templates to use instead.
        hub: sets to fetch, in clip_benchmark's layout.
    """

    kind: str
    path: str | None = None
    content: str = ""
    name: str = ""
    sets: tuple[str, ...] = ()
    languages: tuple[str, ...] = LANGUAGES
    models: tuple[str, ...] = MODELS
    labels: Labels | None = None
    hub: tuple[HubSet, ...] = ()

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"an exam's kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not self.languages or set(self.languages) - set(LANGUAGES):
            raise ValueError(f"an exam's languages are among {', '.join(LANGUAGES)}, not {self.languages}")
        if not self.models or set(self.models) - set(MODELS):
            raise ValueError(f"an exam's models are among {', '.join(MODELS)}, not {self.models}")
        for name in (*self.sets, *(item.name for item in self.hub)):
            if not name or "/" in name or "\\" in name or ".." in name:
                raise ValueError(f"a data set's name is that of a folder, not {name!r}")
        if not self.path and not self.hub:
            raise ValueError(f"an exam of the kind {self.kind} needs a path or sets from a hub")
