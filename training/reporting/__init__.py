"""The report of a run, one self-contained HTML file that anyone can open.

register_student writes it, for only then is it decided who is champion. No step before that may import from
here: the page would be part of what identifies an exam or a training, and a changed colour would run them
again. What a report shows comes from `evidence.json` (training/evidence.py) and from the last steps' records.

    content.py      what the page shows, as values
    gather.py       content from evidence, exams and registration
    trained_on.py   what was trained on what
    funnel.py       bars of the funnel
    curves.py       loss curves
    decision.py     challenger beside champion
    baselines.py    other models' published figures (baselines.toml)
    comparisons.py  an exam beside them, and they alone
    cost.py         parameters against accuracy
    scales.py       numbers to places and ticks
    page.py         HTML of all that, from the *.html beside it
"""
