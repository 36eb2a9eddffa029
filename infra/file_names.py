"""Names of files in any encoding: a file system keeps bytes, which need not be UTF-8.

Python shows a byte that is none as a lone surrogate. Such a name opens its file, and nothing else may be
done with it: it can be neither encoded nor printed nor put into JSON that others read.
"""

import re

SURROGATE = re.compile("[\ud800-\udfff]")


def is_utf8(name: str) -> bool:
    """Whether a name or text can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown_name(name: str) -> str:
    r"""The name or text as it can be shown anywhere: a byte that is not UTF-8 as `\xb2`."""
    return SURROGATE.sub(_escaped, name)


def _escaped(found: re.Match) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
